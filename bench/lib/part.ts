/** One part of the bench: it measures, and says in words what it found. */

export interface Context {
  quick: boolean
  /** Where the part is now; shown in the progress line. */
  say(line: string): void
  /** What must not be lost in the progress line. */
  warn(line: string): void
  options: Options
  /** What an earlier run of this part found and was kept; null when there is none. */
  kept: unknown
}

export interface Options {
  /** Numbers of videos for the same work; the part's own when empty. */
  videos: number[]
  /** How often everything of the same work is repeated. */
  runs: number
  /** Whom to measure; all when empty. */
  who: string[]
  /** How long the soak lasts. */
  minutes: number
}

export interface Part {
  name: string
  title: string
  /** Does so little at a time that, in a short form, others like it may run beside it. */
  light?: boolean
  /** Has no short form. */
  longOnly?: boolean
  /** About how long it takes, in seconds; for the progress line. */
  seconds(context: Pick<Context, 'quick' | 'options'>): number
  run(context: Context): Promise<unknown>
  /** In Markdown, from what `run` found, also when read from a file. */
  words(found: unknown): string
  picture?(found: unknown): string
}

/** A part whose words are made of just what it finds. */
export const part = <T>(
  of: Omit<Part, 'run' | 'words' | 'picture'> & {
    run(context: Context): Promise<T>
    words(found: T): string
    picture?(found: T): string
  },
): Part => of as Part
