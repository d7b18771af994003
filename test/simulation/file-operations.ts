/**
 * Random operations on the archiver's queue: the simulation's and the real one take the same. Time
 * passes for Postgres by moving what its rows say into the past; instants are whole minutes and
 * leases half ones, so that neither comes near a limit by what the test itself takes.
 */
import type { Database, InterfaceOf } from '#libs/store/connect.ts'
import type { ClaimedFile, FileRecords } from '#libs/store/file-records.ts'
import type { MemoryStore } from './memory-store.ts'
import type { World } from './world.ts'
import { facts } from '../support/file-facts.ts'

export type Files = InterfaceOf<FileRecords>
type Operation = (files: Files) => Promise<unknown>

const minuteMs = 60_000
export interface FileOperationsOf {
  world: World
  memory: MemoryStore
  db: Database
  userIds: string[]
}

const roughly = (ms: number | null) => (ms === null ? null : Math.round(ms / minuteMs))
const toPlain = (file: ClaimedFile) => ({
  ...file,
  untilExpiryMs: roughly(file.untilExpiryMs),
})
const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)

export class FileOperations {
  readonly #of: FileOperationsOf
  /** Claims that were given, newest last. */
  readonly #claims: { id: string; claim: number }[] = []

  constructor(of: FileOperationsOf) {
    this.#of = of
  }

  /** So many minutes pass for both. */
  async pass(minutes: number): Promise<void> {
    const { world, db } = this.#of
    world.now += minutes * minuteMs
    await db.$executeRaw`
      UPDATE "File" SET "expiresAt" = "expiresAt" - ${minutes}::int * interval '1 minute',
        "claimedUntil" = "claimedUntil" - ${minutes}::int * interval '1 minute',
        "nextTryAt" = "nextTryAt" - ${minutes}::int * interval '1 minute',
        "createdAt" = "createdAt" - ${minutes}::int * interval '1 minute'`
    await db.$executeRaw`
      UPDATE "SceneVideo" SET "videoUrlExpiresAt" = "videoUrlExpiresAt" - ${minutes}::int * interval '1 minute'`
  }

  /** A video of one of the users is completed, with a link that dies in so many minutes. */
  async complete(id: string, minutes: number | null): Promise<void> {
    const { db, memory, world, userIds } = this.#of
    const video = memory.videos.get(id)!
    const userId = world.pick(userIds)
    const videoUrl = `https://files.example/${id}`
    const done = { status: 'completed', phase: 'done', videoUrl, taskId: `task-${id}` } as const
    Object.assign(video, {
      ...done,
      userId,
      videoUrlExpiresAt: minutes === null ? null : new Date(+memory.date() + minutes * minuteMs),
    })
    await db.$executeRaw`
      UPDATE "SceneVideo" SET status = 'completed', phase = 'done', "userId" = ${userId}::uuid, "videoUrl" = ${videoUrl}, "taskId" = ${done.taskId},
        "videoUrlExpiresAt" = now() + ${minutes}::int * interval '1 minute', "startedAt" = now(), "completedAt" = now() WHERE id = ${id}::uuid`
  }

  /** One operation, chosen once, to be carried out on either. */
  choose(): Operation {
    const { world } = this.#of
    const { id, claim } = this.#aClaim()
    const reason = `because ${world.steps}`
    const minutes = world.pick([0, 1, 3, 10])
    const most = world.pick([1, 1_000])
    return world.pick<Operation>([
      (files) => files.adopt(most),
      ...Array.from({ length: 6 }, () => this.#claim()),
      (files) => files.failed(id, claim, reason, minutes * minuteMs),
      (files) => files.failed(id, claim, reason, minutes * minuteMs),
      async (files) => (await files.stored(id, claim, `${id}-${claim}`, facts))?.body.version,
      (files) => files.lost(id, claim, reason),
      this.#renew(),
      this.#renewed({ id, claim }),
      (files) => files.waiting(60 * minuteMs),
    ])
  }

  #aClaim(): { id: string; claim: number } {
    const { world, memory } = this.#of
    const newest = this.#claims.at(-1)
    if (newest && world.chance(0.3)) return newest
    if (this.#claims.length > 0 && world.chance(0.7)) return world.pick(this.#claims)
    return { id: world.pick([...memory.videos.keys()]), claim: world.pick([0, 1, 2, 3]) }
  }

  #claim(): Operation {
    const { world, userIds } = this.#of
    const options = {
      most: world.pick([1, 2, 5]),
      perUser: world.pick([1, 2, 3]),
      running: new Map(world.chance(0.3) ? [[world.pick(userIds), world.pick([1, 2, 3])]] : []),
      leaseMs: world.pick([0.5, 1.5, 5.5]) * minuteMs,
    }
    return async (files) => {
      const claimed = (await files.claim(options)).map(toPlain).toSorted(byId)
      this.#claims.push(...claimed.map(({ id, claim }) => ({ id, claim })))
      return claimed
    }
  }

  #renew(): Operation {
    const held = Array.from({ length: 3 }, () => this.#aClaim())
    const once = [...new Map(held.map((one) => [one.id, one])).values()]
    const leaseMs = this.#of.world.pick([0.5, 2.5]) * minuteMs
    return async (files) => (await files.renew(once, leaseMs)).toSorted()
  }

  #renewed({ id, claim }: { id: string; claim: number }): Operation {
    const { world, memory } = this.#of
    const minutes = world.pick([2, 30, 200])
    const expiresAt = world.chance(0.8)
    const url = `https://files.example/${id}?again`
    return async (files) => {
      const now = files === memory.files ? +memory.date() : Date.now()
      const at = expiresAt ? new Date(now + minutes * minuteMs).toISOString() : null
      return roughly(await files.renewed(id, claim, url, at))
    }
  }
}

/** What both say of every file, in words that can be compared. */
export async function rowsOf({ db, memory }: FileOperationsOf): Promise<[unknown, unknown]> {
  const [real, videos] = [
    await db.file.findMany({ orderBy: { videoId: 'asc' } }),
    await db.sceneVideo.findMany({ orderBy: { id: 'asc' } }),
  ]
  const ofVideo = (row: { id: string; phase: string; version: number; file: unknown }) => [
    row.id,
    row.phase,
    row.version,
    (row.file as { state?: string } | null)?.state,
  ]
  const ofRow = (row: (typeof real)[number] | ReturnType<typeof memory.files.rows.get>) =>
    row && [
      row.videoId,
      row.state,
      row.url,
      row.claim,
      row.tries,
      row.lastError,
      row.key,
      row.claimedUntil !== null,
      row.expiresAt !== null,
    ]
  const sorted = [...memory.files.rows.values()].toSorted((a, b) =>
    a.videoId < b.videoId ? -1 : 1,
  )
  const kept = [...memory.videos.values()].toSorted(byId)
  return [
    { rows: real.map(ofRow), videos: videos.map(ofVideo) },
    { rows: sorted.map(ofRow), videos: kept.map(ofVideo) },
  ]
}
