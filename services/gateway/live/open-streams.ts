/**
 * The open streams of this gateway, each with what it was opened by. A stream ends with the
 * credential behind it: when its API key is revoked or its JWT has expired, at the next check at
 * the latest; the reader is told to come back, and refused then. While Postgres is away nobody is
 * ended: nobody knows. No more are opened than `most`, so that memory stays bounded.
 */
import { systemClock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { ApiKeys } from '#libs/store/api-keys.ts'
import type { Identity } from '../identity.ts'

interface Parts {
  keys: Pick<ApiKeys, 'validOf'>
  log: Logger
  intervalMs: number
  most: number
  count: { set(streams: number): void }
}

type Credential = Pick<Identity, 'keyId' | 'until'>

export class OpenStreams implements AsyncDisposable {
  readonly #open = new Map<() => void, Credential>()
  readonly #parts: Parts
  readonly #stop = new AbortController()
  readonly #checking: Promise<void>

  constructor(parts: Parts) {
    this.#parts = parts
    const { log, intervalMs } = parts
    this.#checking = every(
      systemClock,
      intervalMs,
      this.#stop.signal,
      () => this.check(),
      (err) => log.warn({ err }, 'keys of open streams not checked'),
    )
  }

  /** `end` ends the stream; the returned function says that it is over. */
  add({ keyId, until }: Identity, end: () => void): () => void {
    this.#open.set(end, { keyId, until })
    this.#parts.count.set(this.#open.size)
    if (this.#stop.signal.aborted) queueMicrotask(end)
    return () => {
      this.#open.delete(end)
      this.#parts.count.set(this.#open.size)
    }
  }

  get isFull(): boolean {
    return this.#open.size >= this.#parts.most
  }

  /** Those of one key, now. */
  endKey(keyId: string): void {
    this.#end((one) => one.keyId === keyId)
  }

  async check(): Promise<void> {
    const now = (performance.timeOrigin + performance.now()) / 1000
    this.#end(({ until }) => until !== undefined && until < now)
    const asked = new Set(
      [...this.#open.values()].map((one) => one.keyId).filter((id) => id !== undefined),
    )
    if (asked.size === 0) return
    const valid = await this.#parts.keys.validOf([...asked])
    this.#end(({ keyId }) => keyId !== undefined && asked.has(keyId) && !valid.has(keyId))
  }

  #end(which: (credential: Credential) => boolean): void {
    for (const [end, credential] of this.#open) if (which(credential)) end()
  }

  /** Ends them all. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#end(() => true)
    await this.#checking
  }
}
