/**
 * One query for many videos: those of one account that are due in the same tick, as many as the
 * provider answers for at once.
 */
import type { Control, RateLimit, TaskAnswer } from '#libs/provider/provider.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { PolledAccount } from './accounts.ts'

interface Polled {
  readonly account: PolledAccount
  readonly taskId: string
}

/** Calls `ask` with what was added in one turn of the event loop, by account, `most` at a time. */
export class AccountBatcher<T extends Polled> {
  readonly #together = new Map<PolledAccount, T[]>()
  readonly #ask: (videos: T[]) => void

  constructor(ask: (videos: T[]) => void) {
    this.#ask = ask
  }

  add(video: T, most: number): void {
    const together = this.#together.get(video.account) ?? []
    together.push(video)
    if (together.length === 1) {
      this.#together.set(video.account, together)
      queueMicrotask(() => this.#flush(video.account, together))
    }
    if (together.length === most) this.#flush(video.account, together)
  }

  #flush(account: PolledAccount, together: T[]): void {
    if (this.#together.get(account) !== together) return
    this.#together.delete(account)
    this.#ask(together)
  }
}

export interface Answers {
  /** In the order of the videos; null for what the provider left out. */
  answers: (TaskAnswer | null)[]
  rateLimit: RateLimit | null
}

/** The same answer for all of them. */
export const noneFor = (videos: readonly Polled[], reason: string): Answers => ({
  answers: videos.map(() => ({ kind: 'none', reason })),
  rateLimit: null,
})

/** Asks for videos of one account by one query. Never throws. */
export async function query(
  videos: readonly Polled[],
  control: Control,
  log: Logger,
): Promise<Answers> {
  const { account, taskId } = videos[0]!
  const { provider, unreachable } = account
  if (!provider) return noneFor(videos, unreachable)
  try {
    if (videos.length > 1) {
      const taskIds = videos.map((video) => video.taskId)
      return await provider.getMany(account, taskIds, control)
    }
    const { answer, rateLimit } = await provider.get(account, taskId, control)
    return { answers: [answer], rateLimit }
  } catch (err) {
    log.error({ err }, 'a query failed unexpectedly')
    return noneFor(videos, 'unexpected')
  }
}
