/**
 * The open streams of this gateway, each with what it was opened by. A stream ends with the
 * credential behind it: when its API key is revoked, its JWT has expired or its user is disabled,
 * at the next check at the latest; the reader is told to come back, and refused then. While
 * Postgres is away nobody is ended: nobody knows. No more are opened than `most`, so that memory
 * stays bounded, and of these a user, and a token, has a share, so that nobody takes them all.
 */
import { systemClock, unixMs } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { ApiKeys } from '#libs/store/api-keys.ts'
import type { Identity } from '../identity.ts'

interface Parts {
  keys: Pick<ApiKeys, 'validOf' | 'disabledOf'>
  log: Logger
  intervalMs: number
  most: number
  mostPerToken: number
  count: { set(streams: number): void }
}

type Credential = Pick<Identity, 'keyId' | 'until' | 'userId' | 'tokenId'>

export class OpenStreams implements AsyncDisposable {
  readonly #open = new Map<() => void, Credential>()
  /** How many a user or a token has open. */
  readonly #held = new Map<string, number>()
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
  add({ keyId, until, userId, tokenId }: Identity, end: () => void): () => void {
    this.#open.set(end, { keyId, until, userId, tokenId })
    this.#change(userId, tokenId, 1)
    this.#parts.count.set(this.#open.size)
    if (this.#stop.signal.aborted) queueMicrotask(end)
    return () => {
      if (!this.#open.delete(end)) return
      this.#change(userId, tokenId, -1)
      this.#parts.count.set(this.#open.size)
    }
  }

  #change(userId: string, tokenId: string | undefined, by: 1 | -1): void {
    for (const key of [userId, tokenId]) {
      if (key === undefined) continue
      const left = (this.#held.get(key) ?? 0) + by
      if (left > 0) this.#held.set(key, left)
      else this.#held.delete(key)
    }
  }

  openOf(userId: string): number {
    return this.#held.get(userId) ?? 0
  }

  /** Why there is no room for one more; null where there is. */
  noRoomFor(
    { userId, tokenId }: Identity,
    mostPerUser: number,
  ): 'gateway' | 'user' | 'token' | null {
    const { most, mostPerToken } = this.#parts
    if (this.#open.size >= most) return 'gateway'
    if (this.openOf(userId) >= mostPerUser) return 'user'
    return tokenId !== undefined && this.openOf(tokenId) >= mostPerToken ? 'token' : null
  }

  /** Those of one key, now. */
  endKey(keyId: string): void {
    this.#end((one) => one.keyId === keyId)
  }

  async check(): Promise<void> {
    const now = unixMs() / 1000
    this.#end(({ until }) => until !== undefined && until < now)
    const asked = new Set(
      [...this.#open.values()].map((one) => one.keyId).filter((id) => id !== undefined),
    )
    const users = new Set([...this.#open.values()].map((one) => one.userId))
    if (users.size === 0) return
    const disabled = await this.#parts.keys.disabledOf([...users])
    this.#end(({ userId }) => disabled.has(userId))
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
