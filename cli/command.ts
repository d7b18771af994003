export interface Command {
  usage: string
  /** The exit code; 0 when nothing is said. */
  run(args: string[]): Promise<number | void>
}

/** Thrown when a command is asked wrongly. */
export class UsageError extends Error {}
