import { at, firstText } from '../edge/fields.ts'

/**
 * Whether an input as a list repeats it can be one that was sent: what it does not repeat, or
 * repeats in another form than a plain value (a picture), tells nothing.
 */
export const agrees = (told: unknown, sent: Readonly<Record<string, unknown>>): boolean =>
  Object.entries(sent).every(([name, value]) => {
    if (value === undefined || /^(https?|data):/.test(String(value))) return true
    const text = firstText(at(told, name)[0], [''])
    return text === null || text === String(value)
  })
