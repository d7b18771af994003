export interface Command {
  usage: string
  /** The exit code; 0 when nothing is said. */
  run(args: string[]): Promise<number | void>
}

/** On a terminal a control character in somebody's text would be a command to it. */
export const printable = (text: string) => text.replaceAll(/\p{Cc}/gu, '·')

/** Thrown when a command is asked wrongly. */
export class UsageError extends Error {}
