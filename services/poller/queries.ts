/** One query for videos of one account: as many as the provider answers for at once. */
import type { Control, RateLimit, TaskAnswer } from '#libs/provider/provider.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { PolledAccount } from './accounts.ts'

interface Polled {
  readonly account: PolledAccount
  readonly taskId: string
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
