/**
 * When each task was asked for, how long nobody asked, and how many queries came in each second. In
 * memory: of this run of the simulator only. Times are Unix milliseconds.
 */
export interface PollsOfTask {
  count: number
  last: number
  longestGapMs: number
  /** The last polls, oldest first. */
  recent: number[]
}

/** Of all tasks together. */
export interface QueriesOfSecond {
  /** Unix seconds. */
  second: number
  answered: number
  /** Over the budget. */
  refused: number
}

const keptPolls = 40
const keptSeconds = 600

export class Polls {
  readonly #tasks = new Map<string, PollsOfTask>()
  readonly #seconds: QueriesOfSecond[] = []

  note(taskId: string, at: number): void {
    const known = this.#tasks.get(taskId)
    if (!known)
      return void this.#tasks.set(taskId, { count: 1, last: at, longestGapMs: 0, recent: [at] })
    known.count++
    known.longestGapMs = Math.max(known.longestGapMs, at - known.last)
    known.last = at
    known.recent.push(at)
    if (known.recent.length > keptPolls) known.recent.shift()
  }

  /** A query, however many tasks it was about. */
  count(at: number, isRefused: boolean): void {
    const second = Math.floor(at / 1_000)
    let last = this.#seconds.at(-1)
    if (last?.second !== second) {
      last = { second, answered: 0, refused: 0 }
      this.#seconds.push(last)
      if (this.#seconds.length > keptSeconds) this.#seconds.shift()
    }
    last[isRefused ? 'refused' : 'answered']++
  }

  /** The oldest first; seconds without queries are left out. */
  seconds(): QueriesOfSecond[] {
    return this.#seconds
  }

  all(): Record<string, PollsOfTask> {
    return Object.fromEntries(this.#tasks)
  }
}
