/**
 * The archiver's queue in memory: each method is one transaction. Held to
 * libs/store/file-records.ts by running the same operations on both.
 */
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import {
  unsaidLifeMs,
  type ClaimedFile,
  type FileFacts,
  type FileRecords,
  hostOfLink,
} from '#libs/store/file-records.ts'
import type { SubmissionRecord, VideoRecord } from '#libs/store/submissions.ts'

/** Instants are milliseconds of Unix time. */
export interface FileRow {
  videoId: string
  userId: string
  state: 'waiting' | 'stored' | 'lost'
  url: string
  expiresAt: number | null
  claim: number
  claimedUntil: number | null
  nextTryAt: number
  tries: number
  lastError: string | null
  key: string | null
  createdAt: number
}

/** The other rows that its transactions read and write. */
interface Rows {
  videos: Map<string, VideoRecord>
  submissions: SubmissionRecord[]
  date(): Date
  record(video: VideoRecord, event: string): OwedEvent
  note(video: VideoRecord, kind: string): void
}

type ClaimOptions = Parameters<FileRecords['claim']>[0]

const candidates = 500
const minuteMs = 60_000

const bySoonest = (a: FileRow, b: FileRow) =>
  (a.expiresAt ?? Infinity) === (b.expiresAt ?? Infinity)
    ? a.videoId < b.videoId
      ? -1
      : 1
    : (a.expiresAt ?? Infinity) - (b.expiresAt ?? Infinity)

export class MemoryFiles implements InterfaceOf<FileRecords> {
  readonly rows = new Map<string, FileRow>()
  readonly #of: Rows
  unsaidLifeMs = unsaidLifeMs
  /** Told of each file that is lost. */
  onLost: (row: FileRow) => void = () => {}

  constructor(rows: Rows) {
    this.#of = rows
  }

  get #now(): number {
    return this.#of.date().getTime()
  }

  /** Under this claim, and neither stored nor lost. */
  #held(id: string, claim: number): FileRow | null {
    const row = this.rows.get(id)
    return row?.claim === claim && row.state === 'waiting' ? row : null
  }

  async adopt(limit = 1_000): Promise<number> {
    const unkept = [...this.#of.videos.values()]
      .filter(({ id, status, file, videoUrl }) => {
        return status === 'completed' && file === null && videoUrl !== null && !this.rows.has(id)
      })
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, limit)
    const now = this.#now
    for (const { id, userId, videoUrl, videoUrlExpiresAt } of unkept)
      this.rows.set(id, {
        videoId: id,
        userId,
        state: 'waiting',
        url: videoUrl!,
        expiresAt: videoUrlExpiresAt?.getTime() ?? null,
        claim: 0,
        claimedUntil: null,
        nextTryAt: now,
        tries: 0,
        lastError: null,
        key: null,
        createdAt: now,
      })
    return unkept.length
  }

  #isClaimable({ state, nextTryAt, claimedUntil }: FileRow): boolean {
    const now = this.#now
    return state === 'waiting' && nextTryAt <= now && (claimedUntil ?? -Infinity) < now
  }

  async claim({
    most,
    perUser,
    running,
    silentHosts = [],
    leaseMs,
  }: ClaimOptions): Promise<ClaimedFile[]> {
    const due = [...this.rows.values()]
      .filter((row) => this.#isClaimable(row) && (running.get(row.userId) ?? 0) < perUser)
      .filter((row) => !silentHosts.includes(hostOfLink(row.url)))
      .toSorted(bySoonest)
      .slice(0, candidates)
    const ranks = new Map<string, number>()
    const chosen = due.filter(({ userId }) => {
      const rank = (ranks.get(userId) ?? 0) + 1
      ranks.set(userId, rank)
      return rank + (running.get(userId) ?? 0) <= perUser
    })
    return chosen.slice(0, most).map((row) => this.#claimed(row, leaseMs))
  }

  #claimed(row: FileRow, leaseMs: number): ClaimedFile {
    const now = this.#now
    const wasAbandoned = row.claimedUntil !== null
    row.claim++
    row.tries++
    row.claimedUntil = now + leaseMs
    const { provider, taskId, attempt } = this.#of.videos.get(row.videoId)!
    const made = this.#of.submissions
      .filter((one) => one.videoId === row.videoId && taskId !== null && one.taskId === taskId)
      .toSorted((a, b) => b.attempt - a.attempt || b.send - a.send)[0]
    return {
      id: row.videoId,
      userId: row.userId,
      attempt,
      claim: row.claim,
      url: row.url,
      untilExpiryMs: this.#dies(row) - now,
      tries: row.tries,
      provider,
      taskId,
      wasAbandoned,
      account: made ? { baseUrl: made.baseUrl, keyCipher: made.keyCipher } : null,
    }
  }

  async renew(held: { id: string; claim: number }[], leaseMs: number): Promise<string[]> {
    const rows = held.flatMap(({ id, claim }) => this.#held(id, claim) ?? [])
    for (const row of rows) row.claimedUntil = this.#now + leaseMs
    return rows.map(({ videoId }) => videoId)
  }

  async stored(
    id: string,
    claim: number,
    key: string,
    facts: FileFacts,
  ): Promise<OwedEvent | null> {
    const row = this.#held(id, claim)
    if (!row) return null
    Object.assign(row, { state: 'stored', key, claimedUntil: null, lastError: null })
    const video = this.#of.videos.get(id)!
    if (video.status !== 'completed' || video.phase !== 'done') return null
    const storedAt = this.#of.date()
    Object.assign(video, {
      phase: 'stored',
      version: video.version + 1,
      updatedAt: storedAt,
      file: { state: 'stored', ...facts, storedAt: storedAt.toISOString() },
    })
    return this.#of.record(video, 'stored')
  }

  async renewed(id: string, claim: number, url: string, expiresAt: string | null) {
    const row = this.#held(id, claim)
    if (!row) return null
    row.url = url
    row.expiresAt = expiresAt === null ? null : Date.parse(expiresAt)
    return this.#dies(row) - this.#now
  }

  async failed(id: string, claim: number, reason: string, delayMs: number): Promise<void> {
    const row = this.#held(id, claim)
    const nextTryAt = this.#now + Math.round(delayMs)
    if (row) Object.assign(row, { claimedUntil: null, lastError: reason, nextTryAt })
  }

  async lost(id: string, claim: number, reason: string): Promise<boolean> {
    const row = this.#held(id, claim)
    if (!row) return false
    Object.assign(row, { state: 'lost', claimedUntil: null, lastError: reason })
    const video = this.#of.videos.get(id)!
    video.file = { state: 'lost', reason }
    this.#of.note(video, 'file_lost')
    this.onLost(row)
    return true
  }

  #dies({ expiresAt, createdAt }: FileRow): number {
    return expiresAt ?? createdAt + this.unsaidLifeMs
  }

  /** Its link dies within `soonMs`, and for a minute it failed or nobody fetched it. */
  isInDanger(row: FileRow, soonMs: number): boolean {
    const { createdAt, lastError, claimedUntil } = row
    const [now, dies] = [this.#now, this.#dies(row)]
    if (lastError !== null && createdAt < now - 360 * minuteMs) return true
    if (dies >= now + soonMs) return false
    const isVerySoon = dies < now + 5 * minuteMs
    if (createdAt >= now - minuteMs) return lastError !== null && isVerySoon
    return lastError !== null || (claimedUntil ?? -Infinity) < now || isVerySoon
  }

  async waiting(soonMs: number): Promise<{ waiting: number; expiringSoon: number }> {
    const waiting = [...this.rows.values()].filter(({ state }) => state === 'waiting')
    const expiring = waiting.filter((row) => this.isInDanger(row, soonMs))
    return { waiting: waiting.length, expiringSoon: expiring.length }
  }
}
