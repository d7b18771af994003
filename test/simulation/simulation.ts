/**
 * One run of the whole system in a world of its own: the real lease, poller, submit, status and
 * reconciler over memory, faults by chance.
 */
import { LastPublishedCache, publishEvents, publishOwed } from '#libs/outbox/outbox.ts'
import { streams } from '#libs/bus/streams.ts'
import { FairSlots, sharedByHalf } from '#libs/runtime/fair-slots.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import type { Keyring } from '#libs/runtime/secrets.ts'
import type { VideoEvent } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { runPoller, type Poller } from '#services/poller/poller.ts'
import { runReconciler } from '#services/reconciler/reconciler.ts'
import { runStatus } from '#services/status/status.ts'
import { Absences } from '#services/submit/absences.ts'
import { SendingAccounts } from '#services/submit/accounts.ts'
import { runSubmit } from '#services/submit/submit.ts'
import { Lateness } from './lateness.ts'
import { Laws } from './laws.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus, type MemoryBus } from './memory-bus.ts'
import { badWays, MemoryProvider } from './memory-provider.ts'
import { MemoryStore, reconcilerSettings } from './memory-store.ts'
import type { StoreCopy } from './rows.ts'
import { badConfig, badUserId, demand } from './tenants.ts'
import { call, Process, World, type Weather } from './world.ts'

const log = createLogger('simulation', 'silent')
const ttlMs = 6_000
const counter = { inc: () => {} }
const lookUpWindowMs = 12_000
/** As runService has it. */
const stopWithinMs = 20_000
const key: Keyring = [Buffer.alloc(32)]

/** Statements after which a process is struck down or frozen. */
const strikePoints = [
  'accept',
  'intend',
  'intend',
  'accepted',
  'failPending',
  'wait',
  'takeDue',
  'retry',
  'commitClaims',
  'apply',
  'owed',
  'markPublished',
]

interface Running {
  process: Process
  bus: MemoryBus
  poller?: Poller
  part?: AsyncDisposable
}

const kinds = [
  'poller-1',
  'poller-2',
  'poller-3',
  'submit-1',
  'submit-2',
  'status-1',
  'status-2',
  'reconciler',
] as const

export interface SimulationOptions {
  /** Some pauses are those of a whole machine, whose monotonic clock stands still meanwhile. */
  clocksStand?: boolean
}

export class Simulation {
  readonly world: World
  readonly broker: Broker
  readonly store: MemoryStore
  readonly provider: MemoryProvider
  readonly laws: Laws
  readonly lateness: Lateness
  readonly weather: Weather
  readonly running = new Map<string, Running>()
  readonly accepted: string[] = []
  readonly faults: Record<string, number> = {}
  readonly #user: Process
  readonly #userBus: MemoryBus
  #strikeAt: string | undefined
  /** By how much the clock of Postgres has run ahead; it leaps while a create is on its way. */
  #leaptMs = 0
  #leapsAtCreate = false
  #copy: StoreCopy | undefined
  readonly #clocksStand: boolean
  #isRestoring = false
  storeUp = true
  calm = false

  constructor(seed: number, keepLog: boolean, options: SimulationOptions = {}) {
    this.world = new World(seed, keepLog)
    const { world } = this
    this.weather = {
      loss: world.between(0, 0.03),
      slow: world.between(0, 0.05),
      longest: world.between(50, 4_000),
      nudgesLost: world.between(0, 0.5),
    }
    this.#clocksStand = options.clocksStand ?? false
    this.broker = new Broker(world)
    this.store = new MemoryStore(() => world.now + this.#leaptMs)
    this.provider = new MemoryProvider(
      world,
      {
        error: world.between(0, 0.2),
        later: world.between(0, 0.2),
        refuse: 0.05,
        miss: world.between(0, 0.2),
      },
      seed % 8 !== 0,
    )
    this.provider.isSlowNow = () => {
      if (!this.#leapsAtCreate) return false
      this.#leapsAtCreate = false
      world.schedule(1_000, null, () => (this.#leaptMs += world.between(1_000, 120_000)))
      return true
    }
    this.provider.bad = badWays[seed % badWays.length]!
    this.store.configs.set(badUserId, badConfig(key))
    this.provider.atOnce = seed % 2 === 0 ? 10 : 1
    this.laws = new Laws(world, this)
    this.lateness = new Lateness(this, badUserId)
    this.lateness.watch(this)
    this.#user = new Process(world, 'user')
    this.#userBus = memoryBus(this.#user, this.broker, { loss: 0, slow: 0, longest: 0 })
    for (const name of kinds) this.start(name)
  }

  /** The store as one process has it: every method is a call over the network. */
  #remote<T extends object>(process: Process, target: T): T {
    const options = {
      weather: this.weather,
      timeoutMs: 15_000,
      isUp: () => this.storeUp,
      fail: () => new Error('Postgres does not answer'),
    }
    return new Proxy(target, {
      get: (object, name) => {
        const method: unknown = Reflect.get(object, name)
        if (typeof method !== 'function') return method
        return (...args: unknown[]) =>
          call(process, options, () => {
            const result = method.apply(object, structuredClone(args)) as Promise<unknown>
            if (this.#strikeAt === name) this.#strike(process)
            return result
          })
      },
    })
  }

  /** Just after a statement has been carried out, before its caller hears of it. */
  #strike(process: Process): void {
    this.#strikeAt = undefined
    this.world.note(`struck ${process.name}`)
    if (this.world.chance(0.5)) this.kill(process.name, this.world.between(100, 15_000))
    else this.#pause(process)
  }

  #pause(process: Process): void {
    process.pause(this.#clocksStand && this.world.chance(0.5))
    this.world.schedule(
      this.world.between(100, this.world.chance(0.3) ? 100_000 : 20_000),
      null,
      () => process.resume(),
    )
  }

  start(name: string): void {
    const process = new Process(this.world, name)
    const bus = memoryBus(process, this.broker, this.weather)
    const running: Running = { process, bus }
    this.running.set(name, running)
    const begin = async () => {
      if (name.startsWith('poller'))
        running.part = running.poller = await this.#poller(process, bus)
      else if (name.startsWith('submit')) running.part = await this.#submit(process, bus)
      else if (name.startsWith('status')) running.part = await this.#status(process, bus)
      else running.part = this.#reconciler(process, bus)
    }
    begin().catch(() => process.alive && this.kill(name, 1_000))
  }

  kill(name: string, restartMs: number): void {
    const { process, bus } = this.running.get(name)!
    process.kill()
    bus.cut()
    this.world.schedule(restartMs, null, () => this.start(name))
  }

  #poller(process: Process, bus: MemoryBus): Promise<Poller> {
    return runPoller({
      bus,
      clock: process.clock,
      log,
      name: process.name,
      ttlMs,
      intervalMs: 5_000,
      concurrency: 100,
      queryTimeoutMs: 11_000,
      slack: { share: 1, videos: 0 },
      queryBudget: { perSecond: 1_000, burst: 1_000 },
      keyEncryptionKey: key,
      polls: counter,
      provider: this.provider.port(process, this.weather, (taskId) => this.#onPoll(taskId)),
    })
  }

  #onPoll(taskId: string): void {
    const ownId = this.provider.tasks.find((task) => task.taskId === taskId)?.ownId
    if (!ownId) return
    const id = ownId.slice(0, 36)
    const owners = [...this.running.values()].filter(
      ({ process, poller }) =>
        process.alive &&
        !process.paused &&
        poller?.ownership.isTrusted() &&
        poller.host.videos.get(id)?.taskId === taskId,
    )
    this.laws.onPoll(
      id,
      owners.map(({ process }) => process.name),
    )
  }

  #submit(process: Process, bus: MemoryBus) {
    const store = this.#remote(process, this.store)
    const newest = new LastPublishedCache(bus)
    const keyText = key[0].toString('base64')
    return runSubmit(
      {
        config: {
          TOAPIS_BASE_URL: 'https://example.com',
          TOAPIS_API_KEY: keyText,
          TOAPIS_MODEL: 'm',
          KEY_ENCRYPTION_KEY: key,
          SEND_WINDOW_MS: 2_000,
          LOOKUP_WINDOW_MS: lookUpWindowMs,
        },
        bus,
        clock: process.clock,
        log,
        store,
        accounts: new SendingAccounts(key),
        slots: new FairSlots(sharedByHalf(20, process.clock)),
        absences: new Absences(),
        creates: counter,
        lookups: counter,
        late: counter,
        duplicates: counter,
        dead: counter,
        provider: this.provider.port(process, this.weather, () => {}),
        publish: (event) => void publishEvents(bus, store, [event], newest).catch(() => {}),
        publishOwed: (id) => publishOwed(bus, store, [id]).catch(() => {}),
      },
      () => this.world.uuid(),
    )
  }

  #status(process: Process, bus: MemoryBus) {
    const store = this.#remote(process, this.store)
    const administer = <T>(act: () => T) =>
      call(
        process,
        {
          weather: this.weather,
          timeoutMs: 5_000,
          isUp: () => this.broker.isUp,
          fail: () => new Error('no answer'),
        },
        act,
      )
    const raise = () => {
      void this.store.raiseGeneration()
      return this.store.generation
    }
    return runStatus({
      bus,
      clock: process.clock,
      log,
      writer: store,
      outbox: store,
      recovery: store,
      fates: counter,
      batchMs: 20,
      batchMax: 50,
      ensureStreams: () => administer(() => this.broker.ensure(raise)),
      applySettings: async () => {},
      remakeOwnership: () => administer(() => this.broker.remake(streams.ownership, raise())),
    })
  }

  #reconciler(process: Process, bus: MemoryBus) {
    const store = this.#remote(process, this.store)
    return runReconciler({
      bus,
      clock: process.clock,
      log,
      recovery: store,
      outbox: store,
      ...reconcilerSettings,
      intervalMs: 120_000,
      count: () => {},
    })
  }

  demand(): void {
    demand(this, this.#userBus)
  }

  /** What goes wrong. */
  trouble(): void {
    const { world } = this
    const hit = (kind: string) => {
      this.faults[kind] = (this.faults[kind] ?? 0) + 1
      world.note(`fault ${kind}`)
    }
    const faults: Record<string, () => void> = {
      kill: () => this.kill(world.pick(kinds), world.between(100, 15_000)),
      pause: () => this.#pause(this.running.get(world.pick(kinds))!.process),
      strike: () => (this.#strikeAt = world.pick(strikePoints)),
      isolate: () => {
        const { process } = this.running.get(world.pick(kinds))!
        process.isolated = true
        world.schedule(world.between(100, 15_000), null, () => (process.isolated = false))
      },
      stop: () => {
        const name = world.pick(kinds)
        const { process, part } = this.running.get(name)!
        if (!part) return
        const end = () => void (process.alive && this.kill(name, 500))
        part[Symbol.asyncDispose]().then(end, end)
        world.schedule(stopWithinMs, null, end)
      },
      brokerDown: () => {
        this.broker.isUp = false
        world.schedule(world.between(100, 20_000), null, () => this.#brokerBack())
      },
      storeDown: () => {
        this.storeUp = false
        world.schedule(world.between(100, 20_000), null, () => (this.storeUp = true))
      },
      leap: () => (this.#leapsAtCreate = true),
      restore: () => this.#restore(),
      rewind: () => {
        this.broker.isUp = false
        this.broker.rewind(
          world.chance(0.5) ? world.between(50, 1_500) : world.between(1_500, 30_000),
        )
        this.laws.rewound(this.broker.contentOf(streams.outbox))
        world.schedule(world.between(100, 5_000), null, () => this.#brokerBack())
      },
      wipe: () => {
        this.broker.wipe()
        this.laws.streamLost()
      },
    }
    const next = () => {
      if (this.calm) return
      const rare = ['wipe', 'restore']
      const kind = world.chance(0.04)
        ? world.pick(rare)
        : world.pick(Object.keys(faults).filter((one) => !rare.includes(one)))
      hit(kind)
      faults[kind]!()
      world.schedule(world.between(500, 20_000), null, next)
    }
    world.schedule(3_000, null, next)
    this.#takeCopies()
  }

  /**
   * Everything is stopped, Postgres goes back to the copy, the operator's command is run,
   * everything is started.
   */
  #restore(): void {
    const { world, store, laws } = this
    const copy = this.#copy
    if (!copy || this.#isRestoring) return
    this.#isRestoring = true
    this.storeUp = false
    for (const name of kinds) this.kill(name, world.between(6_000, 10_000))
    world.schedule(5_000, null, () => {
      const published = new Map<string, number>()
      for (const message of this.broker.contentOf(streams.outbox)) {
        const { id, version } = JSON.parse(new TextDecoder().decode(message.data)) as VideoEvent
        published.set(id, Math.max(published.get(id) ?? 0, version))
      }
      store.restore(
        copy,
        published,
        this.broker.contentOf(streams.outbox).length
          ? this.broker.stream(streams.ownership).generation
          : 0,
      )
      laws.restored()
      this.accepted.splice(0, Infinity, ...this.accepted.filter((id) => store.videos.has(id)))
      this.storeUp = true
      this.#copy = undefined
      this.#isRestoring = false
    })
  }

  #takeCopies(): void {
    this.world.schedule(this.world.between(10_000, 40_000), null, () => {
      if (this.storeUp && !this.#isRestoring) this.#copy = this.store.copy()
      if (!this.calm) this.#takeCopies()
    })
  }

  #brokerBack(): void {
    this.broker.isUp = true
    this.broker.life++
    for (const { bus } of this.running.values()) bus.reconnected()
    this.#userBus.reconnected()
  }

  /** Nothing goes wrong from now on. */
  heal(): void {
    this.calm = true
    Object.assign(this.weather, { loss: 0, slow: 0 })
    this.provider.faults = { error: 0, later: 0, refuse: 0, miss: 0 }
    this.provider.bad = 'none'
    this.storeUp = true
    this.#brokerBack()
    for (const { process } of this.running.values()) {
      process.isolated = false
      if (process.paused) process.resume()
    }
  }

  allEnded(): boolean {
    return (
      this.accepted.every((id) => isTerminal(this.store.videos.get(id)?.status ?? 'pending')) &&
      !this.store.timeline.some((row) => row.owed)
    )
  }
}
