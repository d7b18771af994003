/** What submits share of accounts, in memory: as libs/store/provider-accounts.ts keeps it. */
import { isTerminal, type Status } from '#libs/scene-video/scene-video.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { AccountKey } from '#libs/store/account-ids.ts'
import {
  firstOpenMs,
  longestOpenMs,
  triedMs,
  type CircuitState,
  type CreateRate,
  type ProviderAccounts,
} from '#libs/store/provider-accounts.ts'

interface Row extends AccountKey {
  isOpen: boolean
  reason: string | null
  openings: number
  nextTryAt: number
  fullAt: number
  /** Attempts by video. */
  tasks: Map<string, number>
}

export class MemoryProviderAccounts implements Omit<InterfaceOf<ProviderAccounts>, 'list' | 'act'> {
  readonly #rows = new Map<string, Row>()
  readonly #now: () => number
  readonly #videos: Map<string, { status: Status; attempt: number }> | undefined

  constructor(now: () => number, videos?: Map<string, { status: Status; attempt: number }>) {
    this.#now = now
    this.#videos = videos
  }

  readonly know = async (key: AccountKey): Promise<boolean> => {
    this.#row(key)
    return false
  }

  readonly circuits = async (): Promise<CircuitState[]> =>
    [...this.#rows.values()]
      .filter((row) => row.isOpen)
      .map((row) => ({ ...row, held: null, untilTryMs: row.nextTryAt - this.#now() }))

  readonly open = async (key: AccountKey, reason: string): Promise<void> => {
    const row = this.#row(key)
    if (row.isOpen) return
    const nextTryAt = this.#now() + firstOpenMs
    Object.assign(row, { isOpen: true, reason, openings: 1, nextTryAt })
  }

  readonly openAgain = async (key: AccountKey, reason: string, further: 0 | 1) => {
    const row = this.#row(key)
    if (!row.isOpen) return
    const openings = row.openings + further
    const ms = Math.min(longestOpenMs, firstOpenMs * 2 ** Math.max(0, openings - 1))
    Object.assign(row, { reason, openings, nextTryAt: this.#now() + ms })
  }

  readonly close = async (key: AccountKey): Promise<void> => {
    Object.assign(this.#row(key), { isOpen: false, reason: null, openings: 0 })
  }

  readonly takeTry = async (key: AccountKey): Promise<boolean> => {
    const row = this.#row(key)
    if (!row.isOpen || row.nextTryAt > this.#now()) return false
    row.nextTryAt = this.#now() + triedMs
    return true
  }

  readonly giveTryBack = async (key: AccountKey): Promise<void> => {
    const row = this.#row(key)
    if (row.isOpen) row.nextTryAt = this.#now()
  }

  readonly takeCreates = async (
    key: AccountKey,
    { perMinute, burst }: CreateRate,
    want: number,
  ) => {
    const row = this.#row(key)
    const every = 60_000 / perMinute
    const fullAt = Math.max(row.fullAt, this.#now())
    const free = Math.floor((every * burst - (fullAt - this.#now())) / every)
    const taken = Math.max(0, Math.min(want, free))
    row.fullAt = fullAt + taken * every
    return { taken, waitMs: Math.max(0, row.fullAt - this.#now() + every * (1 - burst)) }
  }

  readonly emptyCreates = async (key: AccountKey, { perMinute, burst }: CreateRate, ms: number) => {
    const row = this.#row(key)
    row.fullAt = Math.max(row.fullAt, this.#now() + ms + (60_000 / perMinute) * burst)
  }

  readonly takeTask = async (
    key: AccountKey,
    most: number,
    { id, attempt }: { id: string; attempt: number },
  ) => {
    const { tasks } = this.#row(key)
    for (const [videoId, of] of tasks) {
      const video = this.#videos?.get(videoId)
      const isOpen = video?.attempt === of && !isTerminal(video.status)
      if (this.#videos && !isOpen) tasks.delete(videoId)
    }
    if (!tasks.has(id) && tasks.size >= most) return { taken: false, holders: [...tasks.keys()] }
    tasks.set(id, attempt)
    return { taken: true, holders: [] }
  }

  #row(key: AccountKey): Row {
    const name = `${key.provider} ${key.accountId}`
    const row = this.#rows.get(name) ?? {
      ...key,
      isOpen: false,
      reason: null,
      openings: 0,
      nextTryAt: 0,
      fullAt: 0,
      tasks: new Map(),
    }
    this.#rows.set(name, row)
    return row
  }
}
