/**
 * The outside world: it accepts creates, whatever becomes of its answer, and keeps the ledger that
 * the laws are judged by.
 */
import type {
  Account,
  CreateAnswer,
  CreateRequest,
  Provider,
  TaskAnswer,
} from '#libs/provider/provider.ts'
import { MemoryFileHost, type Made } from './memory-file-host.ts'
import { call, type Process, type Weather, type World } from './world.ts'

interface Task extends Made {
  startsAt: number
  endsAt: number
  fails: boolean
}

export interface ProviderFaults {
  /** Share of creates that are answered 500 without being accepted. */
  error: number
  later: number
  refuse: number
  /** Share of polls without a usable answer. */
  miss: number
  /** Share of tasks that fail. */
  fail: number
}

interface Caller {
  process: Process
  weather: Weather
  onPoll: (taskId: string) => void
}

const unknown = (err: Error): CreateAnswer => ({ kind: 'unknown', reason: err.message })
const otherName = ({ taskId }: Task) => `other-${taskId}`
const createTimeoutMs = 2_000
const getTimeoutMs = 10_000

/** Where the second tenant's account is, whose provider behaves badly. */
export const badBaseUrl = 'https://bad.example.com'
/**
 * `slow` answers late, `dripping` never to the end, `refusing` tells every request to come later,
 * `refusing_queries` only queries, `none` is like everybody's.
 */
export const badWays = ['none', 'slow', 'dripping', 'refusing', 'refusing_queries'] as const
export type BadWay = (typeof badWays)[number]

export class MemoryProvider {
  readonly tasks: Task[] = []
  /** Where the results of its tasks are. */
  readonly host: MemoryFileHost
  readonly #world: World
  faults: ProviderFaults
  readonly findsByOwnId: boolean
  /** Told before a create is accepted. */
  /** Asked of every create that leaves: whether it takes its time. */
  isSlowNow: () => boolean = () => false
  /** Requests so far, of any kind. */
  asked = 0
  /** A task that is found by own id has another id than the create was answered with. */
  hasTwoNames = false
  /** How long each task takes; by chance, where not set. */
  lastsMs: number | undefined
  /** How many tasks one query may ask for. */
  atOnce = 1
  /** How many tasks of one account may be at work; any number, where not set. */
  parallelTasks: number | undefined
  /** How the account at `badBaseUrl` is answered. */
  bad: BadWay = 'none'
  onAccept: (ownId: string, earlier: Task[]) => void = () => {}

  constructor(world: World, faults: ProviderFaults, findsByOwnId: boolean) {
    this.#world = world
    this.host = new MemoryFileHost(world)
    this.faults = faults
    this.findsByOwnId = findsByOwnId
  }

  isEnded(task: Task): boolean {
    return this.#world.now >= task.endsAt
  }

  /** The port as one process has it. `onPoll` is told when a request leaves the process. */
  port(name: string, { process, weather, onPoll }: Caller): Provider {
    const reach = <T>(timeoutMs: number, answer: () => T, isSlow = false) =>
      call(
        process,
        {
          weather: isSlow ? { ...weather, slow: 1 } : weather,
          timeoutMs,
          isUp: () => true,
          fail: () => new Error('no answer'),
        },
        answer,
      )
    const behave = (account: Account, ms: number) => this.#behave(process, account, ms)
    const refuses = ({ baseUrl }: Account) => baseUrl === badBaseUrl && this.bad.startsWith('ref')
    const get = async (account: Account, id: string) => {
      this.asked++
      onPoll(id)
      const none = (err: Error) => ({
        answer: { kind: 'none', reason: err.message } as TaskAnswer,
        taskId: null,
        rateLimit: null,
      })
      if (refuses(account)) return none(new Error('403'))
      return behave(account, getTimeoutMs)
        .then(() => reach(getTimeoutMs, () => this.#get(id)))
        .catch(none)
    }
    return {
      name,
      can: { findByOwnId: this.findsByOwnId, cancel: false },
      budgets: this.#budgets,
      expectedMs: 10 * 60_000,
      resultLifeMs: 24 * 3_600_000,
      create: async (account: Account, request: CreateRequest) => {
        this.asked++
        if (account.baseUrl === badBaseUrl && this.bad === 'refusing')
          return { kind: 'later', retryAfterMs: 5_000, reason: '503' }
        const isSlow = this.isSlowNow()
        const create = () => this.#create(name, account, request)
        const answer = reach(createTimeoutMs, create, isSlow).catch(unknown)
        return behave(account, createTimeoutMs).then(() => answer, unknown)
      },
      get,
      handleOf: (taskId) => taskId,
      find: (account, { ownId }) => get(account, ownId),
      mostAtOnce: () => this.atOnce,
      getMany: async (account: Account, ids: string[]) => {
        this.asked++
        for (const id of ids) onPoll(id)
        const none = (err: Error) => ({
          answers: ids.map((): TaskAnswer => ({ kind: 'none', reason: err.message })),
          rateLimit: null,
        })
        if (refuses(account)) return none(new Error('403'))
        return behave(account, getTimeoutMs)
          .then(() =>
            reach(getTimeoutMs, () => ({
              answers: ids.map((id) => this.#get(id).answer),
              rateLimit: null,
            })),
          )
          .catch(none)
      },
      search: async () => ({ kind: 'none', reason: 'it has no list' }),
      cancel: async () => ({ kind: 'none', reason: 'it cannot cancel' }),
      linkHeaders: async () => ({}),
      [Symbol.asyncDispose]: async () => {},
    }
  }

  get #budgets() {
    const { parallelTasks } = this
    return { usual: parallelTasks === undefined ? {} : { parallelTasks }, set: {} }
  }

  /** Rejects or waits as the account's provider does, or resolves at once. */
  async #behave(process: Process, { baseUrl }: Account, timeoutMs: number): Promise<void> {
    if (baseUrl !== badBaseUrl) return
    const wait = this.bad === 'slow' ? timeoutMs * 0.8 : this.bad === 'dripping' ? timeoutMs : 0
    if (wait) await new Promise<void>((done) => this.#world.schedule(wait, process, done))
    if (this.bad === 'dripping') throw new Error('no end of the answer in time')
  }

  #create(provider: string, { baseUrl }: Account, { ownId }: CreateRequest): CreateAnswer {
    const world = this.#world
    if (world.chance(this.faults.error)) return { kind: 'unknown', reason: '500' }
    if (world.chance(this.faults.later))
      return {
        kind: 'later',
        retryAfterMs: world.between(100, 3_000),
        reason: '429',
        isOverLimit: true,
      }
    if (world.chance(this.faults.refuse))
      return { kind: 'refused', error: { code: 'content_policy', message: 'no' } }
    this.onAccept(
      ownId,
      this.tasks.filter((task) => task.ownId.slice(0, 36) === ownId.slice(0, 36)),
    )
    const endsAt = world.now + (this.lastsMs ?? world.between(1_000, 40_000))
    this.tasks.push({
      taskId: `task-${this.tasks.length + 1}`,
      ownId,
      provider,
      isBad: baseUrl === badBaseUrl,
      startsAt: world.now + 500,
      endsAt,
      fails: world.chance(this.faults.fail),
    })
    return { kind: 'accepted', taskId: this.tasks.at(-1)!.taskId }
  }

  #get(id: string): { answer: TaskAnswer; taskId: string | null; rateLimit: null } {
    const world = this.#world
    if (world.chance(this.faults.miss))
      return { answer: { kind: 'none', reason: '502' }, taskId: null, rateLimit: null }
    const task = this.tasks.find(
      (one) =>
        one.taskId === id || otherName(one) === id || (this.findsByOwnId && one.ownId === id),
    )
    if (!task) return { answer: { kind: 'missing' }, taskId: null, rateLimit: null }
    const taskId = this.hasTwoNames && id === task.ownId ? otherName(task) : task.taskId
    if (!this.isEnded(task)) {
      const progress = Math.floor(
        (100 * (world.now - task.startsAt)) / (task.endsAt - task.startsAt),
      )
      return {
        answer: {
          kind: 'working',
          phase: world.now < task.startsAt ? 'queued' : 'running',
          progress: Math.max(0, progress),
        },
        taskId,
        rateLimit: null,
      }
    }
    if (task.fails)
      return {
        answer: { kind: 'failed', error: { code: 'provider_failed', message: 'no' } },
        taskId,
        rateLimit: null,
      }
    return { answer: this.host.done(task), taskId, rateLimit: null }
  }
}
