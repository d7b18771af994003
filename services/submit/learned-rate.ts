/**
 * How many creates a minute an account takes whose limit nobody tells: it shows by refusals. After
 * one, less is sent, and every second a little more again, until there is another or enough time
 * has passed. Refusals that come together are one: what is on its way was sent at the same rate.
 */

const leastPerMinute = 6
/** Where too little was sent to go by. */
const firstPerMinute = 60
const keptAfterRefusal = 0.7
const regainedPerSecond = 1.02
const togetherMs = 1_000
/** By then it has grown to hundreds of times what it was. */
const forgottenMs = 300_000

export class LearnedRate {
  /** When the last creates were accepted. */
  readonly #accepted: number[] = []
  #last: { perMinute: number; at: number } | undefined

  accepted(now: number): void {
    this.#accepted.push(now)
    if (this.#accepted.length > 1_000) this.#accepted.shift()
  }

  refused(now: number): void {
    // rule: refusals that come together slow an account down once
    if (this.#last && now - this.#last.at < togetherMs) return
    const lately = this.#accepted.filter((one) => one > now - 60_000).length
    const was = this.perMinute(now) ?? Math.max(firstPerMinute, 2 * lately)
    this.#last = { perMinute: Math.max(leastPerMinute, keptAfterRefusal * was), at: now }
  }

  /** Null where nothing shows that there is a limit. */
  perMinute(now: number): number | null {
    if (!this.#last || now - this.#last.at >= forgottenMs) return null
    return this.#last.perMinute * regainedPerSecond ** ((now - this.#last.at) / 1_000)
  }
}
