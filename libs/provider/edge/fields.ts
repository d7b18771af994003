/**
 * Fields of an answer, read where a dialect says they lie. A field that is odd counts as absent:
 * only the status word decides, and nothing here throws.
 */
import { blank } from '#libs/net/redact.ts'

interface Source {
  source?: string
}
type Reviver = (this: unknown, key: string, value: unknown, context?: Source) => unknown

/** Whole numbers that JavaScript cannot hold stay the text they were. */
const keepBig: Reviver = (_key, value, context) =>
  typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
    ? context!.source
    : value

/** Undefined where it is not JSON. Numbers above 2^53 are told as text, with every digit. */
export function parseJson(text: string): unknown {
  try {
    return /\d{16}/.test(text) ? JSON.parse(text, keepBig) : JSON.parse(text)
  } catch {
    return undefined
  }
}

// the types of TypeScript do not know it yet
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }
const asWritten: Reviver = (_key, value, context) =>
  typeof value === 'number' ? rawJSON(context!.source!) : value

/**
 * JSON whose numbers `JSON.stringify` tells again as they were written. Undefined where it is not
 * JSON.
 */
export function parseAsWritten(text: string): unknown {
  try {
    return JSON.parse(text, asWritten)
  } catch {
    return undefined
  }
}

/** A step of a path: a field; of a list its elements, all or those whose `key` is `wanted`. */
interface Step {
  name: string
  isList: boolean
  key: string | undefined
  wanted: string | undefined
}
const stepOf = /^([^[]*)(\[(?:(\w+)=(\w+))?\])?$/
/** Paths stand in declarations: there are few, and every answer is read by them. */
const known = new Map<string, readonly Step[]>()

function stepsOf(path: string): readonly Step[] {
  let steps = known.get(path)
  if (steps) return steps
  steps = (path === '' ? [] : path.split('.')).map((step) => {
    const [, name = '', list, key, wanted] = stepOf.exec(step) ?? []
    return { name, isList: list !== undefined, key, wanted }
  })
  known.set(path, steps)
  return steps
}

function follow(value: unknown, { name, isList, key, wanted }: Step): unknown[] {
  const object = typeof value === 'string' && value.startsWith('{') ? parseJson(value) : value
  if (typeof object !== 'object' || object === null) return []
  const next = name === '' ? object : (object as Record<string, unknown>)[name]
  if (next === undefined || next === null) return []
  if (!isList) return [next]
  if (!Array.isArray(next)) return []
  return key === undefined ? next : next.filter((one) => at(one, key)[0] === wanted)
}

/**
 * What lies at a path like `result.data[].url`: `[]` is every element, so there may be several;
 * `output[type=video]` is every one whose `type` is that.
 * What a path meets as text of JSON (as relays send `metadata`) is read as JSON.
 */
export function at(json: unknown, path: string): unknown[] {
  const steps = stepsOf(path)
  if (steps.length === 0) return [json]
  let found = follow(json, steps[0]!)
  for (let i = 1; i < steps.length && found.length > 0; i++) {
    const step = steps[i]!
    found =
      found.length === 1 ? follow(found[0], step) : found.flatMap((value) => follow(value, step))
  }
  return found
}

const each = (json: unknown, paths: readonly string[]): unknown[] =>
  paths.length === 1 ? at(json, paths[0]!) : paths.flatMap((path) => at(json, path))

/** The first of these that is a text or a number, as text without blanks around it. */
export function firstText(json: unknown, paths: readonly string[]): string | null {
  for (const path of paths)
    for (const value of at(json, path)) {
      if (typeof value !== 'string' && typeof value !== 'number') continue
      const text = String(value).trim()
      if (text !== '') return text
    }
  return null
}

/** Whether one of these is exactly this id, as text or as a number. */
export const hasId = (json: unknown, paths: readonly string[], id: string): boolean =>
  paths.some((path) =>
    at(json, path).some((one) => one === id || (typeof one === 'number' && String(one) === id)),
  )

/** A handle may be more than an id. */
const longestId = 4_096

/** Every id told, exactly; what cannot be kept (control characters, too long) is none. */
export const idsOf = (json: unknown, paths: readonly string[]): string[] =>
  each(json, paths)
    .filter((value) => typeof value === 'string' || typeof value === 'number')
    .map(String)
    .filter(isKeepable)

export const isKeepable = (id: string): boolean =>
  id.length <= longestId && /^[^\p{Cc}\p{Cs}]+$/u.test(id) && !id.includes(blank)

/**
 * Percent, 0–100, or null. As text (`"40%"`) or number; a fraction only where that is the unit.
 * Where it is not, 0.15 may mean either, and is none.
 */
export function progressOf(
  json: unknown,
  paths: readonly string[],
  unit: 'percent' | 'fraction',
): number | null {
  const text = firstText(json, paths)
  const number = text === null ? NaN : Number(text.replace(/\s*%$/, ''))
  const percent = unit === 'fraction' && !text?.endsWith('%') ? number * 100 : number
  if (!(percent >= 0 && percent <= 100)) return null
  return unit === 'percent' && percent > 0 && percent < 1 ? null : Math.floor(percent + 1e-9)
}

/** Unix milliseconds of seconds, milliseconds or a date; null where it is none. */
export function instantOf(json: unknown, paths: readonly string[]): number | null {
  const text = firstText(json, paths)
  if (text === null) return null
  const number = Number(text)
  // milliseconds of this century, else seconds
  const isMs = number > 1e12 && number < 4.2e12
  const ms = Number.isNaN(number) ? Date.parse(text) : isMs ? number : number * 1_000
  return ms > 0 && ms < 253_402_300_800_000 ? ms : null
}

const longestLink = 8_192

/** The first http(s) link of several, absolute by the provider's address, percent-encoded. */
export function linkOf(
  json: unknown,
  paths: readonly string[],
  baseUrl: string,
  toLink: (text: string) => string = String,
): string | null {
  for (const value of each(json, paths)) {
    if (typeof value !== 'string' || value.length > longestLink) continue
    const text = toLink(value.trim())
    if (text === '' || /[\p{Cc}\p{Cs}]/u.test(text) || text.includes(blank)) continue
    if (!/^(https?:\/\/|\/)/i.test(text)) continue
    const url = URL.parse(text, baseUrl)
    if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '') continue
    // a signed link is kept byte for byte
    const link = /^https?:\/\/[\x21-\x7e]+$/i.test(text) ? text : url.href
    if (link.length <= longestLink) return link
  }
  return null
}

/** Words that a failure is told with and that tell nothing. */
const empty = /^(success|succeeded|ok|none|null|undefined|0|200)?[.!]?$/i

/** The reason told, as text or in an object; null where it tells nothing. */
export function reasonOf(json: unknown, paths: readonly string[]): string | null {
  for (const value of each(json, paths)) {
    const text =
      typeof value === 'object'
        ? firstText(value, ['message', 'msg', 'detail', 'reason', 'error', 'error.message'])
        : String(value).trim()
    if (text !== null && !empty.test(text)) return text
  }
  return null
}
