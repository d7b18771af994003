/** Random operations on a store: the simulation's and the real one take the same. */
import type { Database, InterfaceOf } from '#libs/store/connect.ts'
import type { Outbox } from '#libs/store/outbox.ts'
import type { Recovery } from '#libs/store/recovery.ts'
import type { ReportWriter } from '#libs/store/reports.ts'
import type { SubmissionWriter } from '#libs/store/submissions.ts'
import type { MemoryStore } from './memory-store.ts'
import type { World } from './world.ts'

export type Store = InterfaceOf<SubmissionWriter> &
  InterfaceOf<ReportWriter> &
  InterfaceOf<Outbox> &
  InterfaceOf<Recovery>
type Operation = (store: Store) => Promise<unknown>

/** One object with the methods of all the store's classes. */
export const joined = (parts: object[]) =>
  new Proxy(
    {},
    {
      get(_target, name) {
        const part = parts.find((one) => name in one)
        const method: unknown = part && Reflect.get(part, name)
        return typeof method === 'function' ? method.bind(part) : undefined
      },
    },
  ) as Store

const pins = { provider: 'toapis', baseUrl: 'http://127.0.0.1:1/v1', keyCipher: 'v1.a.b.c' }
const phases = ['queued', 'running', 'retrying', 'throttled', 'overdue', 'cancelling'] as const
const statuses = ['generating', 'generating', 'generating', 'completed', 'failed'] as const
const answers = ['later', 'later', 'absent', 'refused', 'unreadable', 'lost'] as const
const errorCodes = ['cancelled', 'provider_failed', 'timed_out', 'no_result'] as const

export interface OperationsOf {
  world: World
  memory: MemoryStore
  real: Store
  db: Database
  userId: string
}

/** The video that an operation is about, its attempt, and the send of it. */
interface Target {
  id: string
  attempt: number
  send: number
}

export class Operations {
  readonly #of: OperationsOf

  constructor(of: OperationsOf) {
    this.#of = of
  }

  /** One operation, chosen once, to be carried out on either store. */
  choose(ids: string[]): Operation {
    const { world, memory } = this.#of
    const target = this.#target(world.pick(ids))
    const { id, attempt, send } = target
    const isIntended = memory.submissions.some(
      (one) => one.videoId === id && one.attempt === attempt && one.send === send,
    )
    const intend: Operation = async (store) =>
      (await store.intend(id, attempt, send, pins)) !== null
    // a task can only be recorded on a send that was intended
    const accept = isIntended ? this.#accept(target) : intend
    const claim = this.#claim(id)
    return world.pick([
      intend,
      intend,
      accept,
      accept,
      accept,
      ...this.#pending(target),
      claim,
      claim,
      claim,
      ...Array.from({ length: 6 }, () => this.#report(target)),
      ...this.#reads(target),
    ])
  }

  #target(id: string): Target {
    const { world, memory } = this.#of
    const row = memory.videos.get(id)
    const attempt = world.chance(0.85) ? (row?.attempt ?? 1) : world.pick([1, 2, 3])
    const sends = memory.submissions
      .filter((one) => one.videoId === id && one.attempt === attempt)
      .map((one) => one.send)
    const next = Math.max(0, ...sends) + world.pick([0, 0, 1])
    return { id, attempt, send: world.chance(0.8) ? Math.max(1, next) : world.pick([1, 2, 3]) }
  }

  #accept({ id, attempt, send }: Target): Operation {
    const { world } = this.#of
    const how = world.pick(['answer', 'lookup', 'adopted'] as const)
    const taskId = `task-${id}-${attempt}-${world.chance(0.8) ? 1 : 2}`
    return async (store) => {
      const { fate, event } = await store.recordAcceptance(id, { attempt, send, taskId, how })
      return [fate, event?.body.version]
    }
  }

  #error() {
    return { code: this.#of.world.pick(errorCodes), message: 'no' }
  }

  /** What is done with a video until it is accepted, and by its user. */
  #pending({ id, attempt, send }: Target): Operation[] {
    const { world, memory, real, db, userId } = this.#of
    const [error, known] = [this.#error(), world.pick(answers)]
    const phase = world.pick(['throttled', null] as const)
    const restoredAt = new Date(Date.UTC(2026, 0, 1) + world.now)
    return [
      (store) => store.addDoubtfulIntentsAfterRestore(id, pins),
      async (store) => {
        if (store === real)
          await db.$executeRaw`UPDATE "SceneVideo" SET "restoredAt" = now() WHERE id = ${id}::uuid`
        else Object.assign(memory.videos.get(id)!, { restoredAt })
      },
      (store) => store.answered(id, attempt, send, known, 'x'),
      async (store) =>
        (await store.recordWait(id, attempt, { reason: 'x', ms: 5_000, phase }))?.body.version,
      async (store) => (await store.failPending(id, attempt, error))?.body.version,
      async (store) => {
        const { video, ownerActs } = await store.cancel({ userId, id, attempt })
        return [video.status, video.version, ownerActs]
      },
      async (store) => {
        const { video } = await store.retry({ userId, id, attempt })
        return [video.version, video.attempt]
      },
    ]
  }

  #claim(id: string): Operation {
    const { world } = this.#of
    const now = this.#of.memory.videos.get(id)?.epoch ?? 0n
    const session = world.pick(['s1', 's2'])
    const bid = world.chance(0.5)
      ? this.#epoch(id)
      : String(now + BigInt(world.pick([-1, 1, 2, 4_294_967_296])))
    return async (store) =>
      (await store.commitClaims(session, [{ id, epoch: bid }])).grants.map((grant) => [
        grant.epoch,
        grant.attempt,
        grant.status,
        grant.phase,
        grant.taskId,
        grant.reportNo,
        grant.cancelRequested,
      ])
  }

  #epoch(id: string): string {
    const { world, memory } = this.#of
    return world.chance(0.7)
      ? String(memory.videos.get(id)?.epoch ?? 0n)
      : String(world.pick([1, 2, 3, 4_294_967_296, 4_294_967_299]))
  }

  #change() {
    const { world } = this.#of
    const status = world.pick(statuses)
    return {
      status,
      phase: status === 'generating' ? world.pick(phases) : ('done' as const),
      progress: world.pick([null, 0, 50, 100]),
      videoUrl: status === 'completed' ? 'https://example.com/v.mp4' : null,
      videoUrlExpiresAt: status === 'completed' ? '2026-02-01T00:00:00.000Z' : null,
      error: status === 'failed' ? this.#error() : null,
    }
  }

  #report({ id, attempt }: Target): Operation {
    const { world, memory } = this.#of
    const epoch = this.#epoch(id)
    const last = memory.videos.get(id)?.reportNo ?? 0
    const no = world.chance(0.7) ? last + 1 : world.pick([1, 2, 3])
    const change = world.chance(0.15) ? null : this.#change()
    return async (store) => {
      const { fate, event } = (await store.apply([{ id, attempt, epoch, no, change }])).get(id)!
      return [
        fate,
        event && [
          event.event,
          event.body.version,
          event.body.status,
          event.body.phase,
          event.body.progress,
          Number(event.timelineId),
        ],
      ]
    }
  }

  #reads({ id, attempt, send }: Target): Operation[] {
    return [
      async (store) =>
        (await store.owed([id], 100)).map(({ event, body }) => [
          event,
          body.version,
          body.status,
          body.phase,
          body.progress,
        ]),
      async (store) =>
        (await store.load(id))?.submissions.map((one) => [
          one.attempt,
          one.send,
          one.answer,
          one.taskId,
          one.settledAt !== null,
          one.outcome,
        ]),
      (store) => store.noteLate(id, attempt, send, 'completed', {}),
      async (store) => (await store.unsettledVideos(86_400_000, 0)).toSorted(),
      async (store) => (await store.videosWithOpenTask()).toSorted(),
    ]
  }
}
