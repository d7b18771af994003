/**
 * archiver: from `completed, done` to `stored`. It fetches each finished video and keeps it, before
 * the provider's link dies.
 *
 * It may be killed, frozen or cut off at any point: its claims run out, and whoever claims the file
 * next begins anew. Where Postgres, NATS, the provider or the store is away, or a disk is full, it
 * tries again; a generation is never touched by that.
 */
import { Agent } from 'undici'
import { connectBus } from '#libs/bus/connect.ts'
import { openFileStore } from '#libs/files/settings.ts'
import { guardedConnector } from '#libs/net/guard.ts'
import { lookupAsMachine } from '#libs/net/names.ts'
import { Accounts } from '#libs/provider/accounts.ts'
import { Providers } from '#libs/provider/providers.ts'
import { configuredProviders, edgeOptions } from '#libs/provider/settings.ts'
import { systemClock, unixMs } from '#libs/runtime/clock.ts'
import type { Metrics } from '#libs/runtime/metrics.ts'
import { startService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase, waitForDatabase } from '#libs/store/connect.ts'
import { FileRecords, type ClaimedFile } from '#libs/store/file-records.ts'
import { FileRemoval } from '#libs/store/file-removal.ts'
import { Outbox } from '#libs/store/outbox.ts'
import type { ArchiverParts } from './archiver.ts'
import { Uploads } from '#libs/store/uploads.ts'
import type { ArchiverConfig } from './config.ts'
import { removeUnusedUploads } from './unused-uploads.ts'
import { noPreviews, PreviewMaker } from './previews.ts'
import { runArchiver } from './run-archiver.ts'

const askTimeoutMs = 10_000
const connectTimeoutMs = 10_000

export function startArchiver(config: ArchiverConfig, signal?: AbortSignal): Promise<Service> {
  return startService({ name: 'archiver', config, signal }, async (skeleton) => {
    const { log, metrics, checks, stack, signal: stopping } = skeleton
    const files = stack.use(await openFileStore(config))
    const bus = stack.adopt(
      await connectBus({ config, user: 'archiver', name: 'archiver', log, signal: stopping }),
      (one) => one.drain(),
    )
    checks['nats'] = () => bus.isConnected()
    const db = stack.adopt(openDatabase(config.DATABASE_URL, 4), (one) => one.$disconnect())
    checks['postgres'] = () => isReachable(db)
    await waitForDatabase(db, log, stopping)
    const routes = stack.adopt(routesOf(config), (one) => one.close())
    const previews = config.FFMPEG
      ? await PreviewMaker.open({ ffmpeg: config.FFMPEG, files, clock: systemClock, log })
      : null
    if (previews) stack.use(previews)
    stack.use(
      runArchiver({
        bus,
        outbox: new Outbox(db),
        clock: systemClock,
        log,
        files,
        records: new FileRecords(db),
        removal: new FileRemoval(db),
        providers: stack.use(providersOf(config)),
        accounts: config.KEY_ENCRYPTION_KEY ? new Accounts(config.KEY_ENCRYPTION_KEY) : null,
        dispatcherFor: routes.to,
        previews: async (...asked) => (await previews?.of(...asked)) ?? noPreviews,
        maxBytes: config.FILE_MAX_BYTES,
        stallMs: config.FILE_STALL_MS,
        concurrency: config.ARCHIVE_CONCURRENCY,
        timeoutMs: config.FILE_TIMEOUT_MS,
        ...counters(metrics),
      }),
    )
    stack.use(
      removeUnusedUploads({
        uploads: new Uploads(db),
        files,
        unusedMs: config.UPLOAD_UNUSED_MS,
        clock: systemClock,
        log,
      }),
    )
    log.info({ place: files.place }, 'Files are kept here')
    return {}
  })
}

const providersOf = (config: ArchiverConfig) =>
  new Providers(configuredProviders(config), {
    createTimeoutMs: askTimeoutMs,
    getTimeoutMs: askTimeoutMs,
    nowSeconds: () => Math.floor(unixMs() / 1_000),
    ...edgeOptions(config),
  })

function counters(metrics: Metrics): Pick<ArchiverParts, 'count' | 'gauge'> {
  const outcomes = metrics.counter('files_total', 'Files by what became of them', ['outcome'])
  const states = metrics.gauge('files', 'Files not kept yet, by state', ['state'])
  return {
    count: (outcome) => outcomes.inc({ outcome }),
    gauge: ({ waiting, expiringSoon, running }) => {
      states.set({ state: 'waiting' }, waiting)
      states.set({ state: 'expiring_soon' }, expiringSoon)
      states.set({ state: 'running' }, running)
    },
  }
}

/**
 * Links are given by providers: none leads into a private network, but to hosts the operator
 * trusts, and from a provider at an address the operator trusts to that provider's own host.
 */
function routesOf(config: ArchiverConfig) {
  const open = new Agent({
    connect: { timeout: connectTimeoutMs, lookup: lookupAsMachine() },
  })
  const guarded = new Agent({ connect: guardedConnector(connectTimeoutMs) })
  const trusted = new Set(edgeOptions(config).trustedBaseUrls)
  const isOwn = (url: URL, { account }: ClaimedFile) =>
    account !== null &&
    trusted.has(account.baseUrl) &&
    new URL(account.baseUrl).origin === url.origin
  const isOpen = (url: URL, file: ClaimedFile) =>
    config.ALLOW_PRIVATE_BASE_URLS || config.FILE_TRUSTED_HOSTS.has(url.host) || isOwn(url, file)
  return {
    to: (url: URL, file: ClaimedFile) => (isOpen(url, file) ? open : guarded),
    close: async () => void (await Promise.all([open.destroy(), guarded.destroy()])),
  }
}
