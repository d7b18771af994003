/**
 * A send of a create: planned from the row, intended, sent within its window. What comes back is
 * what the machine is told of it.
 */
import type { OpenedAccount } from '#libs/provider/accounts.ts'
import type { CreateAnswer, CreateRequest, Provider } from '#libs/provider/provider.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { isNotAccepted } from '#libs/scene-video/decisions.ts'
import type { VideoSignal } from '#libs/scene-video/signals.ts'
import type { Loaded, Pins } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'
import type { GateAccount } from './known-accounts.ts'
import { lostAnswer, recordTask } from './look-up.ts'
import { proveByLookUp } from './proofs.ts'
import { hasUploads } from './images.ts'
import { noAccount, pinnedAccountOf } from './pins.ts'
import { requestOf } from './requests.ts'

/** However long the wait: tried this often, so that a changed answer is noticed. */
const longestWaitMs = 60_000
export const leastWaitMs = 50
/** Its images are tried again after this. */
const storeAwayMs = 5_000
/** Nothing of an account is sent, whose provider says "too much" and not until when. */
const overLimitMs = 1_000
/** After a lost answer the provider is asked what became of the send. */
const lookUpAfterMs = 500

export interface PlannedSend {
  account: OpenedAccount
  /** Its images may be within it. */
  readonly holdsImages: boolean
  /** Why its account's limits do not allow for it now; null when they do. */
  enter(): Promise<VideoSignal | null>
  intend(): Promise<VideoSignal>
  create(): Promise<VideoSignal | null>
}

/** The next send of this attempt, or why there is none. */
export function planSend(context: SubmitContext, loaded: Loaded): PlannedSend | VideoSignal {
  const { video, submissions } = loaded
  const last = submissions.findLast((one) => one.attempt === video.attempt)
  // rule: a further send keeps the first one’s pins
  const pins = pinnedAccountOf(context, loaded, last)
  if (!pins) return noAccount(context, video.provider)
  const account = context.accounts.open(pins)
  if (!account) return { type: 'HELD', reason: 'the stored key cannot be read', ms: longestWaitMs }
  const request = requestOf(context.callbacks, video, video.attempt)
  if (!request) {
    const message = 'Its stored parameters cannot be read.'
    return { type: 'REFUSED', error: { code: 'invalid_request', message } }
  }
  // the turn began with it
  const provider = context.providers.of(video.provider)!
  const plan = { send: (last?.send ?? 0) + 1, pins, account, provider, request }
  return new Send(context, loaded, plan)
}

interface Plan {
  send: number
  pins: Pins
  account: OpenedAccount
  provider: Provider
  request: CreateRequest
}

class Send implements PlannedSend {
  readonly #context: SubmitContext
  readonly #loaded: Loaded
  readonly #plan: Plan
  #begun = 0
  /** With its images; null until it is intended. */
  #request: CreateRequest | null = null
  /** Whether the account's circuit is open, and this is the one create that is tried. */
  #isTried = false
  /** The video as its intent left it. */
  #intended: Loaded | undefined

  constructor(context: SubmitContext, loaded: Loaded, plan: Plan) {
    this.#context = context
    this.#loaded = loaded
    this.#plan = plan
  }

  get account(): OpenedAccount {
    return this.#plan.account
  }

  get holdsImages(): boolean {
    return hasUploads(this.#plan.request)
  }

  get #at(): GateAccount {
    return { account: this.account, provider: this.#plan.provider }
  }

  readonly #mayWrite = (): boolean =>
    this.#context.clock.now() - this.#begun <= this.#context.config.SEND_WINDOW_MS

  async enter(): Promise<VideoSignal | null> {
    const { gate, clock } = this.#context
    const { id, userId, attempt } = this.#loaded.video
    const wait = await gate.enter(this.#at, { id, userId, attempt })
    if (!wait) return null
    const ms = Math.min(longestWaitMs, wait.ms) * (1 + clock.random() / 4)
    return { type: 'WAITING', reason: wait.reason, ms }
  }

  async intend(): Promise<VideoSignal> {
    const { store, clock, accounts, gate } = this.#context
    const { id, userId, attempt } = this.#loaded.video
    const { send, pins } = this.#plan
    const throttledMs = accounts.throttledMs(this.account.id, clock.now())
    if (throttledMs > 0)
      return this.#waiting(throttledMs, this.#loaded.waitReason ?? 'the provider’s rate limit')
    const noImages = await this.#readImages()
    if (noImages) return noImages
    const passage = await gate.pass(this.#at, { id, userId, attempt })
    if (passage.kind === 'wait') return this.#waiting(passage.ms, passage.reason)
    this.#isTried = passage.kind === 'try'
    this.#begun = clock.now()
    // a look-up has changed what was read of the sends
    const isAsRead = this.#loaded.submissions.every(
      (one) => one.attempt !== attempt || isNotAccepted(one.answer),
    )
    const intended = await store.intend(
      id,
      attempt,
      send,
      pins,
      isAsRead ? this.#loaded : undefined,
    )
    // rule: only the winner of the intent sends
    if (intended === null) return this.#notSent(held(1_000 * (0.75 + clock.random() / 2)))
    crashPoint('intent-committed')
    this.#intended = intended
    return { type: 'INTENT' }
  }

  /** Before the intent: what cannot be sent is not intended. Null: they are there. */
  async #readImages(): Promise<VideoSignal | null> {
    const { request } = this.#plan
    const found = await this.#context.images.of(request, this.#loaded.video)
    if ('refused' in found)
      return { type: 'REFUSED', error: { code: 'invalid_request', message: found.refused } }
    if ('later' in found) return this.#waiting(storeAwayMs, found.later)
    this.#request = found
    return null
  }

  async create(): Promise<VideoSignal | null> {
    const { store, creates, gate } = this.#context
    const { video } = this.#loaded
    // rule: after a restore a video is looked up before a send
    if (intentMayBeLost(this.#loaded))
      return this.#notSent({ type: 'IN_DOUBT', reason: lostAnswer, ms: leastWaitMs })
    // rule: nothing is sent after the send window
    if (!this.#mayWrite()) {
      const { send } = this.#plan
      await store.answered(video.id, video.attempt, send, 'later', 'send window passed, not sent')
      return this.#notSent(held(leastWaitMs))
    }
    const { provider } = this.#plan
    const answer = await provider.create(this.account, this.#request!, {
      mayWrite: this.#mayWrite,
      onRateLimit: (limit) => gate.told(this.#at, limit),
    })
    crashPoint('create-answered')
    creates.inc({ answer: answer.kind })
    // nothing waits for it: the circuit is told while the answer is recorded
    void gate
      .answered(this.#at, answer, { video: video.id, wasTried: this.#isTried })
      .catch((err: unknown) => this.#context.log.warn({ err }, 'circuit not told of a create'))
    return this.#answered(answer)
  }

  /** Somebody else may be the one that is tried. */
  async #notSent(signal: VideoSignal): Promise<VideoSignal> {
    if (this.#isTried) await this.#context.gate.notTried(this.#at)
    return signal
  }

  async #answered(answer: CreateAnswer): Promise<VideoSignal | null> {
    const { store, log, accounts, clock } = this.#context
    const { id, attempt } = this.#loaded.video
    const { send } = this.#plan
    switch (answer.kind) {
      case 'accepted':
        return this.#accepted(answer.taskId)
      case 'refused':
        await store.answered(id, attempt, send, 'refused', answer.error.message)
        return { type: 'REFUSED', error: answer.error }
      case 'later': {
        await store.answered(id, attempt, send, 'later', answer.reason)
        const ms = answer.retryAfterMs ?? Math.min(30_000, 500 * 2 ** Math.min(send, 7))
        // rule: how often one video was sent delays no other of its account
        const ofAllMs = answer.retryAfterMs ?? (answer.isOverLimit ? overLimitMs : 0)
        accounts.throttle(this.account.id, clock.now() + ofAllMs)
        // rule: who was not reached is tried again by how often it was sent
        const isReached = answer.retryAfterMs !== null || answer.isOverLimit === true
        return this.#waiting(ms, answer.reason, isReached)
      }
      case 'unreadable':
        return this.#unreadable(answer.reason)
      // rule: a lost answer is not taken for a refusal
      case 'unknown': {
        const { reason } = answer
        log.warn({ video: id, attempt, reason }, 'Answer to the create is lost; looking it up')
        return { type: 'IN_DOUBT', reason: lostAnswer, ms: lookUpAfterMs }
      }
    }
  }

  async #unreadable(reason: string): Promise<VideoSignal> {
    const { store, log } = this.#context
    const { id, attempt } = this.#loaded.video
    await store.answered(id, attempt, this.#plan.send, 'unreadable', reason)
    log.error({ video: id, attempt, reason }, 'The provider accepted in words unknown to us')
    return { type: 'IN_DOUBT', reason: lostAnswer, ms: lookUpAfterMs }
  }

  async #accepted(taskId: string): Promise<VideoSignal | null> {
    const { log } = this.#context
    const { id, attempt } = this.#loaded.video
    const task = { id, attempt, send: this.#plan.send, taskId, how: 'answer' } as const
    const fate = await recordTask(this.#context, task, this.#intended)
    crashPoint('acceptance-recorded')
    if (fate === 'of_another')
      return this.#unreadable(`the answer names the task of another video: ${taskId}`)
    log.debug({ video: id, taskId, attempt }, 'Submitted')
    void proveByLookUp(this.#context, this.account, this.#loaded.video, taskId)
    return fate === 'taken' ? { type: 'ACCEPTED' } : null
  }

  /** Longer with its age, so that what waits for long is quiet, and never all at once. */
  #waiting(ms: number, reason: string, isSeldom = true): VideoSignal {
    // rule: what waits for long is tried seldom
    const agedMs = isSeldom ? this.#loaded.requestedMs / 2 : 0
    const leastMs = Math.min(longestWaitMs * 0.75, Math.max(ms, agedMs))
    const spreadMs = Math.max(1_000, Math.min(longestWaitMs / 4, leastMs))
    return { type: 'WAITING', reason, ms: leastMs + this.#context.clock.random() * spreadMs }
  }
}

const held = (ms: number): VideoSignal => ({ type: 'HELD', reason: null, ms })

/** Whether Postgres went back to an older copy since this attempt last intended a send. */
const intentMayBeLost = ({ video, submissions }: Loaded): boolean =>
  video.restoredAt !== null &&
  !submissions.some((one) => one.attempt === video.attempt && one.intentAt > video.restoredAt!)
