/**
 * One request's dealings with the simulator: its budget, the faults that are set, the ledger. A
 * fault that is said is thrown as Trouble; one that happens to the answer is left in `fate`.
 */
import { Trouble, type Order, type View, type World } from './dialect.ts'
import type { Ledger, Outcome, Owner, Task } from './ledger.ts'
import type { Category, Limits } from './limits.ts'
import type { Polls } from './polls.ts'
import type { Fault } from './settings.ts'

export interface Circumstances {
  ledger: Ledger
  limits: Limits
  polls: Polls
  now(): number
  /** Where the simulator is. */
  url: string
}
/** What happens to an answer, however it was meant. */
export type Fate = 'timeout' | 'reset' | 'cut' | 'slow' | 'nulls'

export class LiveWorld implements World {
  readonly now: number
  /** Of the budget, to be told where the provider tells it. */
  headers: Record<string, string> = {}
  fate: Fate | null = null
  hasCreated = false
  readonly #at: Circumstances
  readonly #owner: Owner

  constructor(at: Circumstances, owner: Owner) {
    this.#at = at
    this.#owner = owner
    this.now = at.now()
  }

  isHit(fault: Fault): boolean {
    return Math.random() < this.#at.ledger.settings.faults[fault]
  }

  create(order: Order): View & { isRepeated: boolean } {
    const { ledger } = this.#at
    this.#spend('submit')
    this.#mayHaveToWait()
    const known = order.dedupeKey && ledger.byDedupeKey(this.#owner, order.dedupeKey)
    if (known) return { ...this.#view(known), isRepeated: true }
    const says = (tag: string) => order.prompt.includes(tag)
    if (says('[policy]') || Math.random() < ledger.settings.policyRate)
      throw new Trouble('policy', 'The prompt violates the content policy.')
    if (says('[balance]')) throw new Trouble('balance', 'The account has no balance left.')
    const { maxParallel } = ledger.settings
    if (maxParallel !== null && ledger.countOpen(this.#owner, this.now) >= maxParallel)
      throw new Trouble('parallel', 'Too many tasks at once.')
    const isBroken = this.isHit('status500')
    if (isBroken && Math.random() < 0.5) throw new Trouble('internal', 'Something went wrong.')
    const task = this.#newTask(order)
    ledger.add(task)
    this.hasCreated = true
    if (isBroken) throw new Trouble('internal', 'Something went wrong.')
    if (this.isHit('acceptThenRefuse')) throw new Trouble('invalid', 'A field is invalid.')
    if (this.isHit('acceptThenTimeout')) this.fate = 'timeout'
    else if (this.isHit('acceptThenReset')) this.fate = 'reset'
    else if (this.isHit('malformed')) this.fate = 'cut'
    return { ...this.#view(task), isRepeated: false }
  }

  find(id: string, by: 'task' | 'own' | 'either'): View {
    this.#asks([id])
    const task = this.#known(id, by)
    if (!task || this.isHit('vanish') || this.#isMissing(task))
      throw new Trouble('missing', 'There is no such task.')
    return this.#view(task)
  }

  findMany(ids: readonly string[], by: 'task' | 'own'): View[] {
    this.#asks(ids)
    return ids.flatMap((id) => {
      const task = this.#known(id, by)
      return task && !this.#isMissing(task) ? [this.#view(task)] : []
    })
  }

  list(from: number, to: number): View[] {
    this.#asks([])
    return this.#at.ledger.list(this.#owner, from, to, this.now).map((task) => this.#view(task))
  }

  cancel(id: string, until: 'started' | 'ended'): View {
    this.#asks([])
    const task = this.#known(id, 'task')
    if (!task) throw new Trouble('missing', 'There is no such task.')
    const isOver = this.now >= task.endsAt || task.cancelledAt !== null
    if (isOver || (until === 'started' && this.now >= task.startsAt))
      throw new Trouble('too_late', 'The task can no longer be cancelled.')
    this.#at.ledger.cancel(task.taskId, this.now)
    return this.#view({ ...task, cancelledAt: this.now })
  }

  #known(id: string, by: 'task' | 'own' | 'either'): Task | undefined {
    const { ledger } = this.#at
    return (
      (by === 'own' ? undefined : ledger.byTaskId(this.#owner, id)) ??
      (by === 'task' ? undefined : ledger.byOwnId(this.#owner, id, this.now))
    )
  }

  #view(task: Task): View {
    return viewOf(task, this.#at, this.isHit('unknownStatus'), this.isHit('nullByte'))
  }

  #isMissing({ endsAt }: Task): boolean {
    const { finishedMissingMs } = this.#at.ledger.settings
    return this.now >= endsAt && this.now < endsAt + finishedMissingMs
  }

  #asks(ids: readonly string[]): void {
    this.#spend('query')
    for (const id of ids) this.#at.polls.note(id, this.now)
    if (this.isHit('status500')) throw new Trouble('internal', 'Something went wrong.')
    this.#mayHaveToWait()
    if (this.isHit('malformed')) this.fate = 'cut'
    else if (this.isHit('slowBody')) this.fate = 'slow'
  }

  #spend(category: Category): void {
    const { provider, account } = this.#owner
    const { limits, ledger } = this.#at
    const key = `${provider} ${account}`
    const { headers, waitSeconds } = limits.take(key, category, ledger.settings.tier, this.now)
    this.headers = headers
    if (category === 'query') this.#at.polls.count(this.now, waitSeconds > 0)
    if (waitSeconds > 0)
      throw new Trouble('throttled', 'Too many requests.', headers['Retry-After'])
  }

  #mayHaveToWait(): void {
    const { retryAfterSeconds: wait, retryAfterAsDate } = this.#at.ledger.settings
    const retryAfter =
      wait === null
        ? undefined
        : retryAfterAsDate
          ? new Date(this.now + wait * 1000).toUTCString()
          : String(wait)
    if (this.isHit('status503')) throw new Trouble('busy', 'Try again later.', retryAfter)
    if (!this.isHit('status429')) return
    if (this.isHit('nullByte')) this.fate = 'nulls'
    throw new Trouble('throttled', 'Too many requests.', retryAfter)
  }

  #newTask(order: Order): Task {
    const { minSeconds, maxSeconds, failRate } = this.#at.ledger.settings
    const says = (tag: string) => order.prompt.includes(tag)
    const slow = says('[slow]') ? 10 : 1
    const lasts = (minSeconds + Math.random() * Math.max(0, maxSeconds - minSeconds)) * 1000 * slow
    const outcome: Outcome = says('[blocked]')
      ? 'blocked'
      : says('[expired]')
        ? 'expired'
        : says('[fail]') || Math.random() < failRate
          ? 'failed'
          : 'completed'
    return {
      ...this.#owner,
      taskId: order.taskId,
      ownId: order.ownId ?? null,
      model: order.model,
      prompt: order.prompt,
      createdAt: this.now,
      startsAt: this.now + Math.floor(lasts * 0.1),
      endsAt: this.now + Math.floor(lasts),
      outcome,
      strange: says('[unknown]') ? 1 : 0,
      cancelledAt: null,
      dedupeKey: order.dedupeKey ?? null,
      callbackUrl: order.callbackUrl ?? null,
      input: JSON.stringify(order.input ?? {}),
      webhookAttempts: 0,
    }
  }
}

const reasons: Record<Outcome, string> = {
  completed: '',
  failed: 'The model could not generate this video.',
  blocked: 'The video violates the content policy.',
  expired: 'The task was not run in time.',
}

/** A task as it is now, from the instants that were decided when it was created. */
export function viewOf(
  task: Task,
  at: Pick<Circumstances, 'ledger' | 'now' | 'url'>,
  isStrange = false,
  hasNulls = false,
): View {
  const { ledger, url } = at
  const now = at.now()
  const share = Math.max(0, (now - task.startsAt) / Math.max(1, task.endsAt - task.startsAt))
  const { progressStep, resultLifeSeconds } = ledger.settings
  const isOver = now >= task.endsAt
  const open = task.strange || isStrange ? 'strange' : now < task.startsAt ? 'queued' : 'running'
  return {
    taskId: task.taskId,
    ownId: task.ownId,
    model: task.model,
    prompt: task.prompt,
    status: task.cancelledAt === null ? (isOver ? task.outcome : open) : 'cancelled',
    progress: isOver ? 100 : Math.floor((share * 99) / progressStep) * progressStep,
    createdAt: task.createdAt,
    startsAt: task.startsAt,
    endedAt: task.cancelledAt ?? (isOver ? task.endsAt : null),
    link: `${url}/files/${task.taskId}.mp4`,
    expiresAt: task.endsAt + resultLifeSeconds * 1000,
    reason: `${reasons[task.outcome]}${hasNulls ? '\u0000' : ''}`,
    input: JSON.parse(task.input) as Record<string, unknown>,
  }
}
