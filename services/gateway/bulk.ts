/**
 * Carries bulk actions on, whoever asked for them: every gateway takes the next items of each user,
 * and asks submit for some of them at once. No user waits for another’s, and of one user no action
 * for another.
 */
import { z } from 'zod'
import { systemClock } from '#libs/runtime/clock.ts'
import { Looks } from '#libs/runtime/every.ts'
import { FairSlots } from '#libs/runtime/fair-slots.ts'
import { eachLimited } from '#libs/runtime/limited.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { moneySchema } from '#libs/scene-video/scene-video.ts'
import type { BulkActions, BulkJob } from '#libs/store/bulk-actions.ts'

const count = z.number().int().min(0)
/** What a retry of many would find and pay; nothing in a cancel. */
export const costSchema = z
  .object({
    late: count.describe('Results that came too late, and are taken: nothing more to pay'),
    adopted: count.describe('Tasks that still run, and are adopted: nothing more to pay'),
    creates: count.describe('New creates: these are paid'),
    waiting: count.describe('What became of an earlier send is not known; it is settled first'),
    price: moneySchema
      .extend({ unpriced: count.describe('Creates whose price is not known, beside these') })
      .nullable()
      .describe('What creates and waiting come to; null where no price is known'),
  })
  .meta({ id: 'RetryCost' })

export const bulkActionSchema = z
  .object({
    id: z.uuid().nullable().describe('Null in a dry run'),
    action: z.enum(['retry', 'cancel']),
    status: z.enum(['running', 'done', 'aborted', 'dry_run']),
    counts: z
      .object({ total: count, todo: count, done: count, refused: count, skipped: count })
      .describe(
        'Videos; refused are those with which it could not be done any more, skipped those that were named and left out, or not begun before an abort',
      ),
    cost: costSchema,
    createdAt: z.iso.datetime().nullable(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'BulkAction' })

const lookMs = 2_000
/** While there is none; who makes one wakes its own gateway. */
const idleMs = 10_000
const perUser = 40
/** Of one user; and of all, while none takes longer than a second. */
const atOnce = 8
const atOnceOfAll = 16

/** Null: done; undefined: what became of it is not known, or it may be done later. */
type Fate = { code: string; detail: string } | null | undefined
export type CarryOut = (job: BulkJob) => Promise<Fate>

type Actions = Pick<BulkActions, 'working' | 'take' | 'finish'>

export class BulkRunner implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #running: Looks
  readonly #actions: Actions
  readonly #act: CarryOut
  readonly #onError: (err: unknown) => void
  readonly #inHand = new Map<string, Promise<void>>()
  readonly #slots = new FairSlots({
    clock: systemClock,
    total: atOnceOfAll,
    share: atOnce,
    patienceMs: 1_000,
  })

  constructor(actions: Actions, act: CarryOut, log: Logger) {
    this.#actions = actions
    this.#act = act
    this.#onError = (err) => log.warn({ err }, 'bulk actions not carried on')
    const times = { clock: systemClock, everyMs: lookMs, idleMs, onError: this.#onError }
    this.#running = new Looks(times, () => this.#look())
  }

  /** One was made. */
  wake(): void {
    this.#running.wake()
  }

  /** Whether there is anything to do. */
  async #look(): Promise<boolean> {
    const users = await this.#actions.working()
    for (const userId of users) {
      if (this.#inHand.has(userId) || this.#stop.signal.aborted) continue
      // not awaited: no user waits for another one's actions
      const run = this.#run(userId)
        .catch(this.#onError)
        .finally(() => this.#inHand.delete(userId))
      this.#inHand.set(userId, run)
    }
    return users.length > 0
  }

  /** Until there is nothing to take. */
  async #run(userId: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // also ends the actions that have nothing left to do
      const jobs = await this.#actions.take(userId, perUser)
      if (jobs.length === 0) return
      await eachLimited(inTurns(jobs), atOnce, (job) =>
        this.#slots.run(userId, () => this.#carryOut(job)),
      )
    }
  }

  /** What gets no answer, or comes too late, is taken again, and means the same attempt. */
  async #carryOut(job: BulkJob): Promise<void> {
    const fate = await this.#act(job)
    if (fate !== undefined) await this.#actions.finish(job, fate)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running[Symbol.asyncDispose]()
    await Promise.all(this.#inHand.values())
  }
}

/** One of each action after another. */
function inTurns(jobs: BulkJob[]): BulkJob[] {
  const turns = Map.groupBy(jobs, (job) => job.bulkId)
  const lists = [...turns.values()]
  const longest = Math.max(...lists.map((list) => list.length))
  return Array.from({ length: longest }, (_, i) => lists.map((list) => list[i])).flatMap((some) =>
    some.filter((job) => job !== undefined),
  )
}
