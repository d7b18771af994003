/**
 * Whether an account's webhooks arrive. While they do, its videos are asked about less often: the
 * webhook has the end asked for at once. One that is missed ends that for all of them. One that is
 * about a video that nobody hosts here is remembered for as long as that may be on its way.
 */
import type { Clock } from '#libs/runtime/clock.ts'

/** So many arrived, and none was missed, before they are counted on. */
const leastArrived = 3
/** Of the last one; where none comes for so long nobody knows whether they still do. */
const knownForMs = 10 * 60_000
/** An end seen by a poll may be ahead of its webhook by so much. */
const graceMs = 5_000
const stretch = 4
const longestMs = 30_000
const mostAccounts = 10_000
/** From a task's creation, or from another poller, to here. */
const earlyForMs = 60_000
const mostEarly = 10_000

interface Account {
  arrived: number
  at: number
}

export class WebhookWatch {
  readonly #clock: Clock
  readonly #onMissed: (accountId: string) => void
  readonly #accounts = new Map<string, Account>()
  /** By video, whose end was polled before its webhook was heard. */
  readonly #awaited = new Map<string, { accountId: string; cancel: () => void }>()

  /** By video that was not hosted here, when its webhook came. */
  readonly #early = new Map<string, number>()

  constructor(clock: Clock, onMissed: (accountId: string) => void) {
    this.#clock = clock
    this.#onMissed = onMissed
  }

  /** A verified webhook about this video; `accountId` where the video is hosted. */
  arrived(videoId: string, accountId?: string): void {
    const awaited = this.#awaited.get(videoId)
    awaited?.cancel()
    this.#awaited.delete(videoId)
    const id = accountId ?? awaited?.accountId
    if (accountId === undefined) this.#keepEarly(videoId)
    if (id === undefined) return
    const account = this.#accounts.get(id) ?? { arrived: 0, at: 0 }
    this.#accounts.delete(id)
    this.#accounts.set(id, { arrived: account.arrived + 1, at: this.#clock.now() })
    if (this.#accounts.size > mostAccounts)
      this.#accounts.delete(this.#accounts.keys().next().value!)
  }

  /** Whether its webhook came shortly before it was hosted here. */
  wasEarly(videoId: string): boolean {
    const at = this.#early.get(videoId)
    this.#early.delete(videoId)
    return at !== undefined && this.#clock.now() - at < earlyForMs
  }

  #keepEarly(videoId: string): void {
    this.#early.delete(videoId)
    this.#early.set(videoId, this.#clock.now())
    if (this.#early.size > mostEarly) this.#early.delete(this.#early.keys().next().value!)
  }

  /** A poll saw the end of a video, of which no webhook was heard. */
  endedUnheard(videoId: string, accountId: string): void {
    if (!this.isKnown(accountId) || this.#awaited.has(videoId)) return
    const cancel = this.#clock.after(graceMs, () => {
      this.#awaited.delete(videoId)
      // rule: a webhook that is missed has everything polled as usual
      this.#accounts.delete(accountId)
      this.#onMissed(accountId)
    })
    this.#awaited.set(videoId, { accountId, cancel })
  }

  isKnown(accountId: string): boolean {
    const account = this.#accounts.get(accountId)
    return (
      account !== undefined &&
      account.arrived >= leastArrived &&
      this.#clock.now() - account.at < knownForMs
    )
  }

  /** The interval of a video of this account. */
  interval(accountId: string, usualMs: number): number {
    return this.isKnown(accountId)
      ? Math.max(usualMs, Math.min(longestMs, usualMs * stretch))
      : usualMs
  }

  stop(): void {
    for (const { cancel } of this.#awaited.values()) cancel()
    this.#awaited.clear()
  }
}
