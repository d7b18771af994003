/**
 * Lines for people: local time with its zone, the level as a word, one line for each entry. Nothing
 * that a service prints can end its line or colour the next: control characters are escaped.
 */
import { stripVTControlCharacters } from 'node:util'

const colours: Record<string, number> = {
  trace: 90,
  debug: 90,
  info: 36,
  warn: 33,
  error: 31,
  fatal: 31,
}
const hidden = new Set(['level', 'time', 'service', 'msg'])
/** A terminal, and NO_COLOR is not set. */
const isColoured = process.stdout.isTTY === true && process.stdout.hasColors()

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** On a terminal a control character in somebody's text would be a command to it. */
export const escaped = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, (one) =>
    one === '\n' ? '⏎' : `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** `19:59:59+0800`, here. */
function localTime(text: unknown): string {
  const at = new Date(String(text))
  if (Number.isNaN(at.getTime())) return '        '
  const offset = -at.getTimezoneOffset()
  const two = (n: number) => String(Math.trunc(n)).padStart(2, '0')
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}${two(Math.abs(offset) % 60)}`
  return `${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')}${zone}`
}

/** An error by its type and message: a stack or a statement would take the line over. */
function valueOf(key: string, value: unknown): string {
  if (key === 'err' && typeof value === 'object' && value !== null) {
    const { type, message } = value as { type?: unknown; message?: unknown }
    const words = String(message ?? '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
    return [String(type ?? 'Error'), words.at(-1) ?? ''].join(': ')
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** Whether the message has it already; a short value may be part of any word. */
const isTold = (message: string, value: unknown): boolean =>
  typeof value === 'string' && value.length >= 8 && message.includes(value)

/** A service's line of JSON, or whatever else it printed, as one readable line. */
export function readable(name: string, line: string, coloured = isColoured): string {
  const entry = parsed(line)
  if (!entry) return `${name} ${escaped(stripVTControlCharacters(line))}`
  const level = String(entry['level'] ?? 'info')
  const message = String(entry['msg'] ?? '')
  const fields = Object.entries(entry)
    .filter(([key, value]) => !hidden.has(key) && !isTold(message, value))
    .map(([key, value]) => `${key}=${valueOf(key, value)}`)
  const label = escaped(`${level.padEnd(5)} ${name}`)
  return [
    localTime(entry['time']),
    coloured ? `\x1b[${colours[level] ?? 0}m${label}\x1b[0m` : label,
    escaped([message, ...fields].join(' ')),
  ].join(' ')
}

function parsed(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
