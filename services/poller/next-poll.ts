/** When a video is asked about again, where its answer did not say. */
import type { Clock } from '#libs/runtime/clock.ts'
import { outlookOf, type Hosted } from './hosted.ts'
import type { Polls } from './polls.ts'
import { adaptiveInterval, afterAnswer } from './schedule.ts'
import { WebhookWatch } from './webhook-watch.ts'

interface Pace {
  clock: Clock
  intervalMs: number
  adaptive?: boolean
}

/** Of a video that is just hosted: at once where its webhook came before, in milliseconds. */
export function untilFirstPoll(video: Hosted, usualMs: number, webhooks: WebhookWatch): number {
  video.isHinted = webhooks.wasEarly(video.id)
  // rule: a webhook that was ahead of its video is not forgotten
  return video.isHinted ? 0 : usualMs
}

/** In milliseconds. */
export function untilNextPoll(
  video: Hosted,
  { adaptive, intervalMs, clock }: Pace,
  webhooks: WebhookWatch,
): number {
  // rule: a webhook during a query has another one made
  const isAtOnce = video.askAtOnce
  video.askAtOnce = false
  if (isAtOnce) return 0
  const usual = adaptive ? adaptiveInterval(intervalMs, outlookOf(video, clock.now())) : intervalMs
  const interval = video.isHinted ? usual : webhooks.interval(video.account.id, usual)
  return afterAnswer(interval, clock.random())
}

/** Where an account's webhooks arrive no more, its videos are asked about as usual. */
export const watchWebhooks = (
  { intervalMs, clock }: Pace,
  videos: ReadonlyMap<string, Hosted>,
  polls: () => Polls,
): WebhookWatch =>
  new WebhookWatch(clock, (accountId) => {
    const latest = clock.now() + intervalMs
    for (const video of videos.values())
      if (video.account.id === accountId && !video.polling && video.nextPollAt > latest)
        polls().schedule(video, intervalMs * clock.random())
  })
