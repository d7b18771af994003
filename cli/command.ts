export interface Command {
  usage: string
  run(args: string[]): Promise<void>
}

/** Thrown when a command is asked wrongly. */
export class UsageError extends Error {}
