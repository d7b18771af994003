/**
 * One run of what keeps finished videos: real archivers, status and reconciler over memory, links
 * that die, servers, a store of files and processes that fail by chance.
 */
import { Accounts } from '#libs/provider/accounts.ts'
import type { Provider } from '#libs/provider/provider.ts'
import { encrypt } from '#libs/runtime/secrets.ts'
import { expiringSoonMs } from '#services/archiver/archiver.ts'
import { noPreviews } from '#services/archiver/previews.ts'
import { runArchiver } from '#services/archiver/run-archiver.ts'
import { composeReconciler, composeStatus, key, logOf, type Parts } from './compose.ts'
import { FileLaws } from './file-laws.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus, type MemoryBus } from './memory-bus.ts'
import {
  badHosts,
  fileProviders,
  maxBytes,
  MemoryFileHost,
  type HostFault,
} from './memory-file-host.ts'
import { fileStoreOf, MemoryFileStore } from './memory-file-store.ts'
import { MemoryStore } from './memory-store.ts'
import { remote } from './remote.ts'
import { newVideo } from './rows.ts'
import { userIds } from './tenants.ts'
import { Process, World, type Weather } from './world.ts'

export const archivers = ['archiver-1', 'archiver-2'] as const
const kinds = [...archivers, 'status-1', 'reconciler'] as const

/** And so long a link is believed to live of which nobody said anything. */
const longestLifeMs = 4_000_000

interface Running {
  process: Process
  bus: MemoryBus
  part?: AsyncDisposable
}

export class FileSimulation {
  readonly world: World
  readonly broker: Broker
  readonly store: MemoryStore
  readonly host: MemoryFileHost
  readonly objects = new MemoryFileStore()
  readonly laws: FileLaws
  readonly weather: Weather
  readonly running = new Map<string, Running>()
  /** The method of Postgres after which its caller is struck. */
  strikeAt: string | undefined
  storeUp = true
  filesAre: 'up' | 'away' | 'full' = 'up'
  /** In some worlds the store of files hangs where others answer that they are away. */
  readonly #filesTimeoutMs: number
  /** The archivers of some worlds get the key that opens accounts only in the end. */
  #hasKey: boolean

  constructor(seed: number, keepLog: boolean) {
    this.world = new World(seed, keepLog)
    const { world } = this
    this.weather = {
      loss: world.between(0, 0.02),
      slow: world.between(0, 0.05),
      longest: world.between(50, 4_000),
      nudgesLost: world.between(0, 0.5),
    }
    this.#filesTimeoutMs = world.pick([60_000, 60_000, 1e9])
    this.#hasKey = seed % 4 !== 0
    this.broker = new Broker(world)
    this.store = new MemoryStore(() => world.now)
    this.store.files.unsaidLifeMs = longestLifeMs
    this.host = new MemoryFileHost(world)
    this.host.faults = world.between(0, 0.6)
    this.host.bad = badHosts[seed % badHosts.length]!
    this.laws = new FileLaws(this)
    for (const name of kinds) this.start(name)
  }

  start(name: string): void {
    const process = new Process(this.world, name)
    const bus = memoryBus(process, this.broker, this.weather)
    const running: Running = { process, bus }
    this.running.set(name, running)
    const begin = async () => {
      const parts = this.#parts(process, bus)
      if (name.startsWith('archiver')) running.part = this.#archiver(parts)
      else if (name.startsWith('status')) running.part = await composeStatus(parts)
      else running.part = composeReconciler(parts)
    }
    begin().catch(() => process.alive && this.kill(name, 1_000))
  }

  #parts(process: Process, bus: MemoryBus): Parts {
    const provider = null as never as Provider
    return {
      process,
      bus,
      log: logOf(process),
      store: this.#remote(process, this.store),
      provider,
      queriesPerSecond: 1_000,
      world: this,
    }
  }

  #remote<T extends object>(process: Process, target: T): T {
    return remote(process, target, {
      weather: this.weather,
      isUp: () => this.storeUp,
      onDone: (method) => this.#onDone(process, method),
    })
  }

  #onDone(process: Process, method: string): void {
    if (method !== this.strikeAt) return
    this.strikeAt = undefined
    this.world.note(`struck ${process.name} after ${method}`)
    this.kill(process.name, this.world.between(100, 15_000))
  }

  #archiver({ process, bus, log, store }: Parts): AsyncDisposable {
    const { world, weather } = this
    const provider = this.host.providerOf(process, weather)
    return runArchiver({
      bus,
      outbox: store,
      clock: process.clock,
      log,
      files: fileStoreOf(process, this.objects, {
        weather,
        state: () => this.filesAre,
        timeoutMs: this.#filesTimeoutMs,
        onPut: () => this.#onDone(process, 'put'),
      }),
      records: this.#remote(process, this.store.files),
      removal: { removing: async () => [], removed: async () => {} },
      providers: { of: () => provider },
      accounts: this.#hasKey ? new Accounts(key) : null,
      dispatcherFor: () => this.host.dispatcherFor(process),
      previews: async () => noPreviews,
      maxBytes,
      stallMs: 30_000,
      concurrency: 8,
      timeoutMs: 300_000,
      count: (outcome) => world.note(`${process.name} ${outcome}`),
      gauge: (state) => this.laws.onGauge(state, expiringSoonMs),
    })
  }

  kill(name: string, restartMs: number): void {
    const { process, bus } = this.running.get(name)!
    if (!process.alive) return // its start is on its way
    process.kill()
    bus.cut()
    this.laws.troubled(restartMs)
    this.world.schedule(restartMs, null, () => this.start(name))
  }

  brokerBack(): void {
    this.broker.isUp = true
    this.broker.life++
    for (const { bus } of this.running.values()) bus.reconnected()
  }

  /** A provider says that a video is done, which status has recorded. */
  complete(userId = this.world.pick(userIds)): string {
    const { world, store } = this
    const id = world.uuid()
    const provider = world.pick(fileProviders)
    const hosted = this.host.finish({
      id,
      userId,
      provider,
      kind: world.chance(0.94) ? 'video' : world.pick(['html', 'huge'] as const),
      lifeMs: world.pick([
        world.between(20_000, 60_000),
        world.between(60_000, 600_000),
        world.between(600_000, longestLifeMs),
      ]),
      tellsExpiry: world.chance(0.85),
    })
    const place = { userId, projectId: userId, scriptId: userId, sceneId: userId }
    const system = { provider, providers: {} }
    const request = { id, ...place, body: { provider }, idempotencyKey: null, system }
    const video = newVideo(request as never, store.date())
    const expiresAt = this.host.expiryOf(hosted)
    Object.assign(video, {
      status: 'completed',
      phase: 'done',
      taskId: id,
      videoUrl: this.host.linkOf(hosted),
      videoUrlExpiresAt: expiresAt && new Date(expiresAt),
    })
    store.completed(video, { provider, baseUrl: 'https://api.example', keyCipher: cipher })
    return id
  }

  /** Nothing goes wrong but at the bad user's host. */
  beFair(bad: HostFault): void {
    Object.assign(this.weather, { loss: 0, slow: 0, nudgesLost: 0 })
    this.host.faults = 0
    this.host.bad = bad
  }

  /** Nothing goes wrong from now on. */
  heal(): void {
    this.beFair('none')
    this.storeUp = true
    this.filesAre = 'up'
    this.strikeAt = undefined
    this.brokerBack()
    if (!this.#hasKey) for (const name of archivers) this.kill(name, 1_000)
    this.#hasKey = true
    for (const { process } of this.running.values()) {
      process.isolated = false
      if (process.paused) process.resume()
    }
  }

  allEnded(): boolean {
    const { videos, timeline } = this.store
    return (
      ![...videos.keys()].some((id) => this.laws.isOpen(id)) && !timeline.some((row) => row.owed)
    )
  }
}

const cipher = encrypt('of the account', key)
