/**
 * When this process first heard that a send is absent at the provider, and how often since. The
 * window is that of the process that looks, on its monotonic clock. The age of the intent does not
 * do: where Postgres' clock leaps, or the machine slept, a create that is still on its way is old
 * at once.
 */

/** How often a task must have been absent: more than a leap of the clock between two looks. */
const leastLooks = 3
/** What nobody asked about for this long is forgotten. */
const forgetMs = 3_600_000

export class Absences {
  readonly #seen = new Map<string, { since: number; last: number; looks: number }>()
  #sweptAt = 0

  /** Notes another absence; whether it now counts. */
  counts(key: string, now: number, windowMs: number): boolean {
    this.#sweep(now)
    const seen = this.#seen.get(key) ?? { since: now, last: now, looks: 0 }
    seen.looks++
    seen.last = now
    this.#seen.set(key, seen)
    const counts = seen.looks >= leastLooks && now - seen.since >= windowMs
    if (counts) this.#seen.delete(key)
    return counts
  }

  #sweep(now: number): void {
    if (now - this.#sweptAt < forgetMs) return
    this.#sweptAt = now
    for (const [key, { last }] of this.#seen) if (now - last >= forgetMs) this.#seen.delete(key)
  }
}
