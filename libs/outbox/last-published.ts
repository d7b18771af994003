/** What this process knows of the end of the stream, by video. */
import type { Bus } from '#libs/bus/bus.ts'

/** A video's newest event in the stream. */
export interface StreamHead {
  sequence: number
  version: number
}

/** About 20 MB. */
const maxCached = 100_000

/**
 * Each video's newest event, as this process published it: saves asking the server before the next.
 * It is a guess that the server checks (the expected sequence), and after a reconnect it is
 * forgotten: a server that lost events may give their sequences out again.
 */
export class LastPublishedCache {
  readonly #of = new Map<string, StreamHead>()

  constructor(bus: Pick<Bus, 'onReconnect'>) {
    // rule: the cache of last published events is cleared at a reconnect
    bus.onReconnect(() => this.#of.clear())
  }

  /**
   * Not kept while in use: what is published at the same time by somebody else here, or fails, asks
   * the server.
   */
  take(id: string): StreamHead | undefined {
    const known = this.#of.get(id)
    this.#of.delete(id)
    return known
  }

  keep(id: string, head: StreamHead): void {
    this.#of.set(id, head)
    if (this.#of.size > maxCached) this.#of.delete(this.#of.keys().next().value!)
  }
}
