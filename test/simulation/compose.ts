/** Each service of the simulation, composed of the real parts over a world's memory. */
import { streams } from '#libs/bus/streams.ts'
import { LastPublishedCache } from '#libs/outbox/last-published.ts'
import { publishEvents, publishOwed } from '#libs/outbox/outbox.ts'
import { Callbacks } from '#libs/provider/callbacks.ts'
import { createLogger, type Logger } from '#libs/runtime/logger.ts'
import type { Keyring } from '#libs/runtime/secrets.ts'
import { runPoller, type Poller } from '#services/poller/poller.ts'
import { runReconciler } from '#services/reconciler/reconciler.ts'
import { runStatus } from '#services/status/status.ts'
import { Absences } from '#services/submit/absences.ts'
import { SendingAccounts } from '#services/submit/accounts.ts'
import { SystemAccounts } from '#services/submit/system-accounts.ts'
import type { ProviderSource } from '#libs/provider/providers.ts'
import { configuredProviders } from '#libs/provider/settings.ts'
import { FairSlots, sharedByHalf } from '#libs/runtime/fair-slots.ts'
import { Gate } from '#services/submit/gate.ts'
import { LookUpTurns } from '#services/submit/look-up-turns.ts'
import { runSubmit } from '#services/submit/submit.ts'
import type { Broker } from './memory-broker.ts'
import type { MemoryBus } from './memory-bus.ts'
import { fileProviders } from './memory-file-host.ts'
import { reconcilerSettings, type MemoryStore } from './memory-store.ts'
import { call, type Process, type Weather } from './world.ts'

export const key: Keyring = [Buffer.alloc(32)]
export const kinds = [
  'poller-1',
  'poller-2',
  'poller-3',
  'submit-1',
  'submit-2',
  'status-1',
  'status-2',
  'reconciler',
] as const
export const archivers = ['archiver-1', 'archiver-2'] as const

const silent = createLogger('simulation', 'silent')
const counter = { inc: () => {} }

/** What one process has in hand. */
export interface Parts {
  process: Process
  log: Logger
  bus: MemoryBus
  /** Each method is a call over the network. */
  store: MemoryStore
  providers: ProviderSource
  /** An account's queries a second. */
  queriesPerSecond: number
  /** Of the world itself, for what an administrator does. */
  world: { broker: Broker; store: MemoryStore; weather: Weather }
}

/** What it says is part of a kept trace. */
export function logOf({ name, world }: Process): Logger {
  if (!world.keepsLog) return silent
  return createLogger(name, 'info', {
    write: (line) => {
      const { msg, err } = JSON.parse(line) as { msg: string; err?: { message: string } }
      world.remark(`${name}: ${msg}${err ? `: ${err.message}` : ''}`)
    },
  })
}

export const composePoller = ({
  process,
  log,
  bus,
  providers,
  queriesPerSecond,
}: Parts): Promise<Poller> =>
  runPoller({
    bus,
    clock: process.clock,
    log,
    name: process.name,
    ttlMs: 6_000,
    intervalMs: 5_000,
    concurrency: 100,
    queryTimeoutMs: 11_000,
    tolerance: { factor: 1, videos: 0 },
    queryBudget: { perSecond: queriesPerSecond, burst: Math.ceil(queriesPerSecond) },
    keyEncryptionKey: key,
    polls: counter,
    providers,
  })

/** An account at each provider. */
const system = Object.fromEntries(
  fileProviders.flatMap((name) => [
    [`${name.toUpperCase()}_BASE_URL`, 'https://example.com'],
    [`${name.toUpperCase()}_API_KEY`, key[0].toString('base64')],
  ]),
)

export function composeSubmit({ process, log, bus, store, providers }: Parts) {
  const newest = new LastPublishedCache(bus)
  return runSubmit(
    {
      config: {
        SEND_WINDOW_MS: 2_000,
        LOOKUP_WINDOW_MS: 12_000,
      },
      callbacks: new Callbacks(undefined, key),
      bus,
      clock: process.clock,
      log,
      store,
      accounts: new SendingAccounts(key),
      slots: new FairSlots(sharedByHalf(20, process.clock)),
      turns: new FairSlots(sharedByHalf(100, process.clock)),
      commands: new FairSlots(sharedByHalf(10, process.clock)),
      absences: new Absences(),
      lookUpTurns: new LookUpTurns(bus, process.clock),
      images: { of: async (request) => request },
      imageSlots: new FairSlots(sharedByHalf(4, process.clock)),
      gate: new Gate({ clock: process.clock, log, bus, store: store.providerAccounts }),
      creates: counter,
      lookups: counter,
      late: counter,
      duplicates: counter,
      dead: counter,
      providers,
      systemAccounts: new SystemAccounts(
        configuredProviders({ ...system, PROVIDERS: fileProviders }),
        key,
      ),
      publish: (event) => void publishEvents(bus, store, [event], newest).catch(() => {}),
      publishOwed: (id) => publishOwed(bus, store, [id]).catch(() => {}),
    },
    () => process.world.uuid(),
  )
}

export function composeStatus({ process, log, bus, store, world }: Parts) {
  const administer = <T>(act: () => T) =>
    call(
      process,
      {
        weather: world.weather,
        timeoutMs: 5_000,
        isUp: () => world.broker.isUp,
        fail: () => new Error('no answer'),
      },
      act,
    )
  const raise = () => {
    void world.store.raiseGeneration()
    return world.store.generation
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
    ensureStreams: () => administer(() => world.broker.ensure(raise)),
    applySettings: async () => {},
    remakeOwnership: () => administer(() => world.broker.remake(streams.ownership, raise())),
  })
}

export const composeReconciler = ({ process, log, bus, store }: Parts) =>
  runReconciler({
    bus,
    clock: process.clock,
    log,
    recovery: store,
    outbox: store,
    ...reconcilerSettings,
    intervalMs: 120_000,
    count: () => {},
  })
