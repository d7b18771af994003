/**
 * One run of the whole system in a world of its own: the real lease, poller, submit, status,
 * reconciler and archivers over memory, faults by chance.
 */
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import type { Poller } from '#services/poller/poller.ts'
import { badProvider, badWeather } from './chances.ts'
import { archivers, key, kinds } from './compose.ts'
import { Lateness } from './lateness.ts'
import { Laws } from './laws.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus, type MemoryBus } from './memory-bus.ts'
import type { MemoryProvider } from './memory-provider.ts'
import { MemoryStore } from './memory-store.ts'
import { compose, partsOf } from './parts.ts'
import { badConfig, badUserId } from './tenants.ts'
import type { Statement } from './statements.ts'
import { WorldFiles } from './world-files.ts'
import { Process, World, type Weather } from './world.ts'

interface Running {
  process: Process
  bus: MemoryBus
  poller?: Poller
  part?: AsyncDisposable
}

export interface SimulationOptions {
  /** Nothing goes wrong by chance. */
  fair?: boolean
  /** An account's budget. */
  queriesPerSecond?: number
  /** How many tasks of one account may be at work. */
  parallelTasks?: number
  /** With archivers. */
  keepsFiles?: boolean
}

export class Simulation {
  readonly world: World
  readonly broker: Broker
  readonly store: MemoryStore
  readonly provider: MemoryProvider
  readonly laws: Laws
  /** Null where nobody keeps any. */
  readonly files: WorldFiles | null
  readonly names: readonly string[]
  readonly lateness: Lateness
  readonly weather: Weather
  readonly running = new Map<string, Running>()
  readonly accepted: string[] = []
  readonly faults: Record<string, number> = {}
  /** Asked of the store so far. */
  statements = 0
  readonly #user: Process
  readonly userBus: MemoryBus
  /** The statement after which its caller is struck. */
  strikeAt: Statement | undefined
  /** By how much the clock of Postgres has run ahead; it leaps while a create is on its way. */
  #leaptMs = 0
  #leapsAtCreate = false
  readonly queriesPerSecond: number
  storeDown = false
  /** Everything is stopped while the store goes back to a copy. */
  isRestoring = false
  calm = false

  constructor(seed: number, keepLog: boolean, options: SimulationOptions = {}) {
    this.world = new World(seed, keepLog)
    const { world } = this
    this.weather = badWeather(world)
    this.queriesPerSecond = options.queriesPerSecond ?? 1_000
    this.broker = new Broker(world)
    this.store = new MemoryStore(() => world.now + this.#leaptMs)
    this.provider = badProvider(world, seed)
    this.provider.host.now = () => world.now + this.#leaptMs
    this.provider.isSlowNow = () => {
      if (!this.#leapsAtCreate) return false
      this.#leapsAtCreate = false
      world.schedule(1_000, null, () => (this.#leaptMs += world.between(1_000, 120_000)))
      return true
    }
    this.store.configs.set(badUserId, badConfig(key))
    this.provider.parallelTasks = options.parallelTasks
    this.laws = new Laws(world, this)
    this.files = options.keepsFiles ? new WorldFiles(seed, this) : null
    this.names = options.keepsFiles ? [...kinds, ...archivers] : kinds
    this.lateness = new Lateness(this, badUserId)
    if (options.fair) this.#beFair()
    this.lateness.watch(this)
    this.#user = new Process(world, 'user')
    this.userBus = memoryBus(this.#user, this.broker, { loss: 0, slow: 0, longest: 0 })
    for (const name of this.names) this.start(name)
  }

  /** A statement has been carried out, or a file put; its caller has not heard of it yet. */
  onDone(method: Statement, process: Process): void {
    if (method !== 'put') this.statements++
    if (this.strikeAt === method) this.#strike(process)
  }

  #strike(process: Process): void {
    this.strikeAt = undefined
    this.world.note(`struck ${process.name}`)
    if (this.world.chance(0.5)) this.kill(process.name, this.world.between(100, 15_000))
    else this.pause(process)
  }

  pause(process: Process): void {
    // half of them are suspends of the whole machine
    process.pause(this.world.chance(0.5))
    this.world.schedule(
      this.world.between(100, this.world.chance(0.3) ? 100_000 : 20_000),
      null,
      () => process.resume(),
    )
  }

  get storeUp(): boolean {
    return !this.storeDown && !this.isRestoring
  }

  start(name: string): void {
    if (this.isRestoring) return void this.world.schedule(1_000, null, () => this.start(name))
    const process = new Process(this.world, name)
    const bus = memoryBus(process, this.broker, this.weather)
    const running: Running = { process, bus }
    this.running.set(name, running)
    const begin = async () => void Object.assign(running, await compose(partsOf(this, running)))
    begin().catch(() => process.alive && this.kill(name, 1_000))
  }

  kill(name: string, restartMs: number): void {
    const { process, bus } = this.running.get(name)!
    if (!process.alive) return // its start is on its way
    process.kill()
    bus.cut()
    this.world.schedule(restartMs, null, () => this.start(name))
  }

  onPoll({ name }: Process, taskId: string): void {
    if (!name.startsWith('poller')) return
    const ownId = this.provider.tasks.find((task) => task.taskId === taskId)?.ownId
    if (!ownId) return
    const id = ownId.slice(0, 36)
    const owners = [...this.running.values()].filter(
      ({ process, poller }) =>
        process.alive &&
        !process.paused &&
        poller?.ownership.isLeaseValid() &&
        poller.host.videos.get(id)?.taskId === taskId,
    )
    this.laws.onPoll(
      id,
      owners.map(({ process }) => process.name),
    )
  }

  /** The next create takes its time, and meanwhile the clock of Postgres leaps. */
  leapAtCreate(): void {
    this.#leapsAtCreate = true
  }

  brokerBack(): void {
    this.broker.isUp = true
    this.broker.life++
    for (const { bus } of this.running.values()) bus.reconnected()
    this.userBus.reconnected()
  }

  #beFair(): void {
    Object.assign(this.weather, { loss: 0, slow: 0, nudgesLost: 0 })
    this.provider.faults = { error: 0, later: 0, refuse: 0, miss: 0, fail: 0 }
    this.provider.bad = 'none'
    this.files?.beFair()
  }

  /** Nothing goes wrong from now on. */
  heal(): void {
    this.calm = true
    this.#beFair()
    this.storeDown = false
    this.brokerBack()
    if (this.files?.heal()) for (const name of archivers) this.kill(name, 1_000)
    for (const { process } of this.running.values()) {
      process.isolated = false
      if (process.paused) process.resume()
    }
  }

  /** Videos have ended: nobody else is needed any more. */
  leaveToArchivers(): void {
    for (const name of kinds) if (!/status|reconciler/.test(name)) this.kill(name, Infinity)
  }

  /** Every file is kept or lost. */
  allKept(): boolean {
    const { files, store } = this
    return !files || ![...store.videos.values()].some((video) => files.laws.isOpen(video))
  }

  allEnded(): boolean {
    return (
      this.accepted.every((id) => isTerminal(this.store.videos.get(id)?.status ?? 'pending')) &&
      !this.store.timeline.some((row) => row.owed)
    )
  }
}
