export interface Command {
  usage: string
  /** The exit code; 0 when nothing is said. */
  run(args: string[]): Promise<number | void>
}

/** On a terminal a control character in somebody's text would be a command to it. */
export const printable = (text: string) => text.replaceAll(/\p{Cc}/gu, '·')

/** Thrown when a command is asked wrongly. */
export class UsageError extends Error {}

/** In the words of the command, or of Node's `parseArgs`. */
export const isAskedWrongly = (err: unknown): boolean =>
  err instanceof UsageError ||
  (err as { code?: string } | null)?.code?.startsWith?.('ERR_PARSE_ARGS') === true

export const asksForHelp = (args: readonly string[]): boolean =>
  args.includes('--help') || args.includes('-h')

/**
 * What `read` finds on the command line. A process that is asked for help tells its usage and exits
 * 0; one that is asked wrongly says so and exits 2.
 */
export function asked<T>(usage: string, read: () => T): T {
  if (asksForHelp(process.argv.slice(2))) {
    process.stdout.write(`Usage: ${usage}\n`)
    return process.exit(0)
  }
  try {
    return read()
  } catch (err) {
    if (!isAskedWrongly(err)) throw err
    process.stderr.write(`${printable((err as Error).message)}\n\nUsage: ${usage}\n`)
    return process.exit(2)
  }
}

/** The number that an option gives, whole unless `isWhole` is false. @throws UsageError */
export function numberOf(
  option: string,
  text: string,
  range: { least?: number; most?: number; isWhole?: false } = {},
): number {
  const { least = 1, most = Number.MAX_SAFE_INTEGER, isWhole = true } = range
  const number = text.trim() === '' ? NaN : Number(text)
  if (number >= least && number <= most && (Number.isInteger(number) || !isWhole)) return number
  const upTo = most === Number.MAX_SAFE_INTEGER ? 'upwards' : `to ${most}`
  throw new UsageError(
    `${option} is a ${isWhole ? 'whole number' : 'number'} from ${least} ${upTo}, not "${text}"`,
  )
}

/** The names, of those there are, that an option lists between commas. @throws UsageError */
export function namesOf(option: string, text: string, known: readonly string[]): string[] {
  const names = text.split(',')
  const unknown = names.filter((name) => !known.includes(name))
  if (!unknown.length) return names
  throw new UsageError(`${option} takes any of ${known.join(', ')}, not "${unknown.join(', ')}"`)
}
