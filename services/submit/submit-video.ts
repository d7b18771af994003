/**
 * Hosts the machine of a pending video (libs/scene-video/machine.ts) for one turn: where it stands
 * is read from the row and its sends; what is seen is sent as events; what the machine says is
 * recorded, and its action executed, until nothing is left to do or it has to wait. What comes back
 * is when its next turn is; nothing waits in here but for a slot and an answer. Every step may be
 * repeated.
 */
import { publishWork } from '#libs/bus/work.ts'
import { pollWorkSubject } from '#libs/scene-video/messages.ts'
import {
  advancePending,
  dueSignal,
  stateOfPending,
  type PendingRecord,
  type PendingState,
} from '#libs/scene-video/pending.ts'
import type { PendingAction, VideoSignal } from '#libs/scene-video/signals.ts'
import type { Loaded } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'
import { isCalled } from './ask-about.ts'
import { lookUpSends } from './look-up.ts'
import { noAccount, pinnedAccountOf } from './pins.ts'
import { leastWaitMs, planSend, type PlannedSend } from './send-create.ts'

export interface VideoOf {
  id: string
  userId?: string
}
/** Milliseconds after which it is to be worked on again; null when there is nothing left to do. */
export type Again = number | null
/** What to send the machine next, or that the turn is over. */
type Next = VideoSignal | Again

/**
 * `known`: the video as it was just read. `userId`: whose turn it takes to be read; unknown, where
 * somebody else names it.
 */
export async function submitVideo(
  context: SubmitContext,
  { id, userId = '' }: VideoOf,
  known?: Loaded,
): Promise<Again> {
  const { store, turns } = context
  // rule: users take turns before anything is read
  const loaded = known ?? (await turns.run(userId, () => store.load(id)))
  return loaded?.video.status === 'pending' ? new Turn(context, loaded).run() : null
}

class Turn {
  readonly #context: SubmitContext
  readonly #loaded: Loaded
  #state: PendingState
  #planned: PlannedSend | undefined

  constructor(context: SubmitContext, loaded: Loaded) {
    this.#context = context
    this.#loaded = loaded
    this.#state = stateOfPending(loaded.video, loaded.submissions, loaded.waitReason)
  }

  async run(): Promise<Again> {
    let next = await this.#first()
    while (typeof next === 'object' && next !== null) next = await this.#dispatch(next)
    return next
  }

  async #first(): Promise<Next> {
    const { providers, store, gate } = this.#context
    const { video, submissions, untilTryMs } = this.#loaded
    // accepted already: the poll is queued again
    if (video.taskId !== null) return { type: 'TURN' }
    const signal = dueSignal({ ...this.#loaded, cancelRequested: video.cancelRequested })
    if (signal.type !== 'TURN') return signal
    const isWoken = gate.isWoken(video.id) || submissions.some(isCalled)
    const mayTry = untilTryMs === null || untilTryMs <= leastWaitMs || isWoken
    if (!mayTry) return this.#notAfterDeadline(untilTryMs)
    if (providers.of(video.provider) === null) {
      const message = `No provider is called ${video.provider}.`
      return { type: 'REFUSED', error: { code: 'unknown_provider', message } }
    }
    const pins = pinnedAccountOf(this.#context, this.#loaded, submissions.at(-1))
    if (!pins) return noAccount(this.#context, video.provider)
    // rule: after a restore earlier attempts are looked up, too
    if (video.restoredAt !== null && (await store.addDoubtfulIntentsAfterRestore(video.id, pins)))
      return 0
    return signal
  }

  async #dispatch(signal: VideoSignal): Promise<Next> {
    const { state, record, action } = advancePending(this.#state, signal)
    this.#state = state
    if (record) await this.#record(record)
    return action ? this.#execute(action) : null
  }

  async #record(record: PendingRecord): Promise<void> {
    const { store, publish } = this.#context
    const { id, attempt } = this.#loaded.video
    if (record.kind === 'failed') return failVideo(this.#context, { id, attempt }, record)
    // the acceptance itself is recorded with its task: see recordTask
    if (record.kind === 'submitted') return
    const { reason, ms, phase, event } = record
    const wait = { reason, ms, phase: event === null ? null : phase }
    const changed = await store.recordWait(id, attempt, wait)
    if (changed) publish(changed)
  }

  async #execute(action: PendingAction): Promise<Next> {
    const context = this.#context
    switch (action.type) {
      case 'lookUp':
        return lookUpSends(context, this.#loaded)
      case 'intend':
        return this.#intend()
      case 'create':
        return this.#planned!.create()
      case 'queuePoll':
        await queuePoll(context, this.#loaded.video.id)
        return null
      case 'tryAgain':
        return this.#notAfterDeadline(action.ms)
    }
  }

  /** In a slot of its account: the intent, and the create that follows it. */
  async #intend(): Promise<Next> {
    const planned = planSend(this.#context, this.#loaded)
    if ('type' in planned) return planned
    this.#planned = planned
    // a message waits for nothing in here: a full budget is a turn of its own
    const full = await planned.enter()
    if (full) return full
    const { slots, imageSlots } = this.#context
    const { userId } = this.#loaded.video
    const create = async () => {
      const signal = await planned.intend()
      return signal.type === 'INTENT' ? this.#dispatch(signal) : signal
    }
    // rule: users take turns at the slots of an account
    const send = () => slots.run(planned.account.id, create, userId)
    return planned.holdsImages ? imageSlots.run(planned.account.id, send, userId) : send()
  }

  #notAfterDeadline(ms: number): number {
    return Math.max(leastWaitMs, Math.min(ms, this.#loaded.untilDeadlineMs ?? Infinity))
  }
}

/** Ends a pending video as the machine says; nothing where it waits no more. */
export async function failVideo(
  { store, log, publish }: SubmitContext,
  { id, attempt }: { id: string; attempt: number },
  { error }: Extract<PendingRecord, { kind: 'failed' }>,
): Promise<void> {
  const event = await store.failPending(id, attempt, error)
  if (!event) return
  log.info({ video: id, code: error.code }, `Video failed: ${error.message}`)
  publish(event)
}

/** Queues the video for the pollers; repeated, that changes nothing. */
const queuePoll = ({ bus }: SubmitContext, id: string): Promise<unknown> =>
  publishWork(bus, pollWorkSubject(id), { id })
