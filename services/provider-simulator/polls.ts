/**
 * When each task was asked for, and how long nobody asked. In memory: of this run of the simulator
 * only. Times are Unix milliseconds.
 */
export interface PollsOfTask {
  count: number
  last: number
  longestGapMs: number
  /** The last polls, oldest first. */
  recent: number[]
}

const keptPolls = 40

export class Polls {
  readonly #tasks = new Map<string, PollsOfTask>()

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

  all(): Record<string, PollsOfTask> {
    return Object.fromEntries(this.#tasks)
  }
}
