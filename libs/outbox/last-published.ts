/** What this process knows of the end of the stream, by video. */
import type { Bus } from '#libs/bus/bus.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'

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
  #isStreamWhole = false

  constructor(bus: Pick<Bus, 'onReconnect'>) {
    bus.onReconnect(() => {
      // rule: the cache of last published events is cleared at a reconnect
      this.#of.clear()
      // rule: Postgres is believed what the stream holds once they were compared
      this.#isStreamWhole = false
    })
  }

  /**
   * Since the last reconnect the stream was compared with Postgres: it has what is marked there,
   * until the next one.
   */
  streamIsWhole(): void {
    this.#isStreamWhole = true
  }

  /**
   * What precedes this event. Not kept while in use: what is published at the same time by somebody
   * else here, or fails, asks the server.
   */
  take({ body: { id, version }, after }: OwedEvent): StreamHead | undefined {
    const known = this.#of.get(id)
    this.#of.delete(id)
    if (known?.version === version - 1) return known
    if (after === undefined || !this.#isStreamWhole) return undefined
    return { sequence: after, version: version - 1 }
  }

  keep(id: string, head: StreamHead): void {
    this.#of.set(id, head)
    if (this.#of.size > maxCached) this.#of.delete(this.#of.keys().next().value!)
  }
}
