/**
 * What keeps finished videos in a world: real archivers, a store of files that outlives every copy
 * of Postgres, and what goes wrong with it.
 */
import { Accounts } from '#libs/provider/accounts.ts'
import { expiringSoonMs } from '#services/archiver/archiver.ts'
import { noPreviews } from '#services/archiver/previews.ts'
import { runArchiver } from '#services/archiver/run-archiver.ts'
import { key, type Parts } from './compose.ts'
import { FileLaws } from './file-laws.ts'
import { badHosts } from './memory-file-answers.ts'
import { longestLifeMs, maxBytes, type MemoryFileHost } from './memory-file-host.ts'
import { fileStoreOf, MemoryFileStore } from './memory-file-store.ts'
import type { MemoryFiles } from './memory-files.ts'
import type { Laws } from './laws.ts'
import type { MemoryProvider } from './memory-provider.ts'
import type { MemoryStore } from './memory-store.ts'
import type { Weather, World } from './world.ts'

interface ArchiverParts extends Omit<Parts, 'world'> {
  /** Each method is a call over the network. */
  records: MemoryFiles
  weather: Weather
  /** A file is in the store; its archiver has not heard of it yet. */
  onPut(): void
}

interface WorldOf {
  world: World
  store: MemoryStore
  provider: MemoryProvider
  laws: Laws
}

export class WorldFiles {
  readonly objects = new MemoryFileStore()
  readonly laws: FileLaws
  are: 'up' | 'away' | 'full' = 'up'
  readonly #world: World
  readonly #host: MemoryFileHost
  /** In some worlds the store of files hangs where others answer that they are away. */
  readonly #timeoutMs: number
  /** The archivers of some worlds get the key that opens accounts only in the end. */
  #hasKey: boolean

  constructor(seed: number, { world, store, provider, laws }: WorldOf) {
    this.#world = world
    this.#host = provider.host
    this.#timeoutMs = world.pick([60_000, 60_000, 1e9])
    this.#hasKey = seed % 6 !== 0
    store.files.unsaidLifeMs = longestLifeMs
    this.#host.faults = world.between(0, 0.6)
    this.#host.bad = badHosts[seed % badHosts.length]!
    const breach = (law: string) => laws.breach(law)
    this.laws = new FileLaws({ world, store, host: this.#host, objects: this.objects, breach })
  }

  compose({ process, bus, log, store, records, weather, onPut }: ArchiverParts): AsyncDisposable {
    const provider = this.#host.providerOf(process, weather)
    return runArchiver({
      bus,
      outbox: store,
      clock: process.clock,
      log,
      files: fileStoreOf(process, this.objects, {
        weather,
        state: () => this.are,
        timeoutMs: this.#timeoutMs,
        onPut,
      }),
      records,
      removal: { removing: async () => [], removed: async () => {} },
      providers: { of: () => provider },
      accounts: this.#hasKey ? new Accounts(key) : null,
      dispatcherFor: () => this.#host.dispatcherFor(process),
      previews: async () => noPreviews,
      maxBytes,
      stallMs: 30_000,
      concurrency: 8,
      timeoutMs: 300_000,
      count: (outcome) => this.#world.note(`${process.name} ${outcome}`),
      gauge: (state) => this.laws.onGauge(state, expiringSoonMs),
    })
  }

  beFair(): void {
    Object.assign(this.#host, { faults: 0, bad: 'none', isFair: true })
    this.are = 'up'
  }

  /** Nothing goes wrong from now on; whether archivers must start anew for it. */
  heal(): boolean {
    const hadKey = this.#hasKey
    this.beFair()
    this.#hasKey = true
    return !hadKey
  }
}
