/** Lines for people: plain on a pipe, coloured on a terminal. */
const colours = { trace: 90, debug: 90, info: 36, warn: 33, error: 31, fatal: 31 } as Record<
  string,
  number
>
const hidden = new Set(['level', 'time', 'service', 'msg'])
const isTerminal = process.stdout.isTTY === true

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** A service's line of JSON, or whatever else it printed, as one readable line. */
export function readable(name: string, line: string): string {
  try {
    const entry = JSON.parse(line) as Record<string, unknown>
    const time = String(entry['time'] ?? '').slice(11, 19)
    const level = String(entry['level'] ?? 'info')
    const fields = Object.entries(entry)
      .filter(([key]) => !hidden.has(key))
      .map(
        ([key, value]) =>
          `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
      )
    const label = isTerminal ? `\x1b[${colours[level] ?? 0}m${name}\x1b[0m` : `${name} ${level}`
    return [time, label, String(entry['msg'] ?? ''), ...fields].join(' ')
  } catch {
    return `${name} ${line}`
  }
}
