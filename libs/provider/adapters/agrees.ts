import { at, firstText } from '../edge/fields.ts'

const lower = (value: unknown) => String(value).trim().toLowerCase()
/** As a number where it is one: `5`, `"5"` and `"5.0"` are the same length. */
const isSame = (told: string, sent: unknown) =>
  lower(told) === lower(sent) || (told !== '' && Number(told) === Number(sent))

/**
 * Whether an input as a list repeats it can be one that was sent: what it does not repeat, or
 * repeats in another form than a plain value (a picture), tells nothing. Prompts are compared by
 * whoever reads the list.
 */
export const agrees = (told: unknown, sent: Readonly<Record<string, unknown>>): boolean =>
  Object.entries(sent).every(([name, value]) => {
    if (name === 'prompt' || value === undefined || /^(https?|data):/.test(String(value)))
      return true
    const text = firstText(at(told, name)[0], [''])
    return text === null || isSame(text, value)
  })
