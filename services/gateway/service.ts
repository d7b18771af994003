/**
 * gateway: HTTP, SSE and WebSocket for frontends. It holds no state that matters: reads come from
 * Postgres, live events from stream VIDEO, and whatever changes a video is asked of submit.
 */
import websocket from '@fastify/websocket'
import type { AddressInfo } from 'node:net'
import { connectBus } from '#libs/bus/connect.ts'
import { openEventFeed } from '#libs/bus/event-feed.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { openFileStore } from '#libs/files/settings.ts'
import { describeProviders } from '#libs/provider/registry.ts'
import { configuredProviders } from '#libs/provider/settings.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { sealingKeyOf } from '#libs/runtime/secrets.ts'
import { startService, type Service, type Skeleton } from '#libs/runtime/service.ts'
import { AiConfigs } from '#libs/store/ai-configs.ts'
import { ApiKeys } from '#libs/store/api-keys.ts'
import { BulkActions } from '#libs/store/bulk-actions.ts'
import {
  isReachable,
  openDatabase,
  plannedForEach,
  requirePostgresVersion,
  type Database,
} from '#libs/store/connect.ts'
import { Eraser } from '#libs/store/erase.ts'
import { isOutage } from '#libs/store/errors.ts'
import { waitForMigrations } from '#libs/store/migrated.ts'
import { FileRemoval } from '#libs/store/file-removal.ts'
import { FileReader } from '#libs/store/file-reader.ts'
import { Library } from '#libs/store/library.ts'
import { OperatorReader } from '#libs/store/operator-reader.ts'
import { ProjectWriter } from '#libs/store/projects.ts'
import { ProviderAccounts } from '#libs/store/provider-accounts.ts'
import { Reader } from '#libs/store/reader.ts'
import { RequestKeys } from '#libs/store/request-keys.ts'
import { Retries } from '#libs/store/retry-candidates.ts'
import { SpendStore } from '#libs/store/spend.ts'
import { Uploads } from '#libs/store/uploads.ts'
import { UsageStore } from '#libs/store/usage.ts'
import type { Context } from './context.ts'
import { Auth } from './auth.ts'
import { Budget } from './budget.ts'
import type { GatewayConfig } from './config.ts'
import { createJwtVerifier } from './jwt.ts'
import { BulkRunner } from './bulk.ts'
import { bulkCommands } from './bulk-commands.ts'
import type { LimitValues } from './limit-values.ts'
import { Limits } from './limits.ts'
import { history, Hub } from './live/hub.ts'
import { OpenStreams } from './live/open-streams.ts'
import { registerConnections } from './plugins/connections.ts'
import { registerOpenApi } from './plugins/openapi.ts'
import { registerProtection } from './plugins/protection.ts'
import { registerRoutes } from './routes/index.ts'
import { Prices, toMicros } from './prices.ts'
import { createApp } from './server.ts'
import { StreamTokens } from './stream-token.ts'
import { Turns } from './turns.ts'

export function startGateway(
  config: GatewayConfig,
  signal?: AbortSignal,
): Promise<Service & { url: string }> {
  return startService({ name: 'gateway', config, signal }, (skeleton) => build(config, skeleton))
}

async function build(config: GatewayConfig, skeleton: Skeleton): Promise<{ url: string }> {
  const { log, checks, stack } = skeleton
  const context = await contextOf(config, skeleton)
  const app = createApp(log, config.TRUSTED_PROXIES)
  registerConnections(app, {
    most: config.MAX_CONNECTIONS,
    mostPerAddress: config.MAX_CONNECTIONS_PER_ADDRESS,
    trustedProxies: config.TRUSTED_PROXIES,
  })
  stack.defer(async () => {
    // they end first, so that the server need not wait for them
    await context.open[Symbol.asyncDispose]()
    await app.close()
  })
  // Before what refuses: it ends the connection of an upgrade that was refused.
  await app.register(websocket, {
    options: { maxPayload: 1_024 },
    errorHandler: (_err, socket) => socket.terminate(),
  })
  await registerProtection(app, context, config)
  await registerOpenApi(app)
  await registerRoutes(app, context)
  await app.listen({ port: config.PORT, host: config.HOST })
  const { port } = app.server.address() as AddressInfo
  log.info({ port, checks: Object.keys(checks) }, 'listening')
  return { url: `http://127.0.0.1:${port}` }
}

/** Whoever asks is told 503 when no connection to Postgres was free for so long. */
const mostWaitMs = 5_000

/** What routes need, each part disposed of with the service. */
async function contextOf(config: GatewayConfig, skeleton: Skeleton): Promise<Context> {
  const { log, metrics, checks, stack, signal } = skeleton
  const bus = stack.adopt(
    await connectBus({ config, user: 'gateway', name: 'gateway', log, signal }),
    (one) => one.drain(),
  )
  checks['nats'] = () => bus.isConnected()
  const db = stack.adopt(openDatabase(config.DATABASE_URL, 10, mostWaitMs, plannedForEach), (one) =>
    one.$disconnect(),
  )
  checks['postgres'] = () => isReachable(db)
  // without Postgres it answers 503 and waits for it
  try {
    await requirePostgresVersion(db)
    await waitForMigrations(db, log, signal)
  } catch (err) {
    if (!isOutage(err)) throw err
  }
  await waitForTopology(bus, log, signal)
  const feed = stack.use(await openEventFeed(bus, log, history))
  checks['feed'] = () => feed.isHealthy()
  const apiKeys = new ApiKeys(db)
  const bulkActions = new BulkActions(db)
  const streamTokens = new StreamTokens(streamTokenKeysOf(config))
  const open = new OpenStreams({
    keys: apiKeys,
    log,
    intervalMs: config.STREAM_CHECK_INTERVAL_MS,
    most: config.MAX_STREAMS,
    mostPerToken: config.MAX_STREAMS_PER_TOKEN,
    count: metrics.gauge('open_streams', 'Live streams open on this gateway'),
  })
  const providers = providersOf(config)
  const prices = new Prices(config.PRICES, config.PRICE_CURRENCY, providers.providers)
  const stores = storesOf(db)
  const budget = new Budget(new SpendStore(db), prices, budgetsOf(config))
  const carryOut = bulkCommands({ ...stores, bus, budget, prices })
  return {
    ...stores,
    files: stack.use(await openFileStore(config)),
    publicUrl: config.PUBLIC_URL ?? null,
    uploadLimits: { most: config.MAX_UPLOADS, mostBytes: config.MAX_UPLOAD_BYTES },
    presignsFiles: config.FILE_LINKS === 'presigned',
    fileStallMs: config.FILE_READER_STALL_MS,
    bus,
    open,
    turns: new Turns(systemClock),
    storeTurns: new Turns(systemClock),
    checks,
    apiKeys,
    bulkActions,
    bulkRunner: stack.use(new BulkRunner(bulkActions, carryOut, log)),
    streamTokens,
    hub: new Hub(feed),
    budget,
    limits: stack.use(
      new Limits(limitsOf(config), new UsageStore(db), { clock: systemClock, log }),
    ),
    auth: new Auth(apiKeys, systemClock, jwtVerifierOf(config, apiKeys), streamTokens),
    sealingKey: config.KEY_SEALING_KEY ?? sealingKeyOf(config.KEY_ENCRYPTION_KEY![0]),
    ...providers,
    prices,
    allowPrivateBaseUrls: config.ALLOW_PRIVATE_BASE_URLS,
  }
}

function providersOf(
  config: GatewayConfig,
): Pick<Context, 'system' | 'providers' | 'webhookSecrets'> {
  const all = configuredProviders(config)
  const on = all.filter((one) => one.isOn)
  const { name, model } = on[0]!
  return {
    system: { provider: name, model },
    providers: describeProviders(on),
    // also of one that is switched off: what is under way there goes on
    webhookSecrets: new Map(
      all.flatMap((one) => (one.webhookSecret === null ? [] : [[one.name, one.webhookSecret]])),
    ),
  }
}

/** The first signs. */
const streamTokenKeysOf = (config: GatewayConfig) => [
  ...(config.STREAM_TOKEN_KEY ?? []),
  ...(config.KEY_ENCRYPTION_KEY ?? []),
]

const storesOf = (db: Database) => ({
  reader: new Reader(db),
  library: new Library(db),
  projects: new ProjectWriter(db),
  eraser: new Eraser(db),
  fileReader: new FileReader(db),
  fileRemoval: new FileRemoval(db),
  uploads: new Uploads(db),
  retries: new Retries(db),
  requestKeys: new RequestKeys(db),
  operator: new OperatorReader(db),
  providerAccounts: new ProviderAccounts(db),
  aiConfigs: new AiConfigs(db),
})

function jwtVerifierOf(config: GatewayConfig, apiKeys: ApiKeys) {
  const { JWKS_URL: jwksUrl, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = config
  return jwksUrl && issuer && audience
    ? createJwtVerifier({ jwksUrl, issuer, audience }, apiKeys)
    : null
}

const budgetsOf = ({ MAX_SPEND_PER_DAY: day, MAX_SPEND_PER_MONTH: month }: GatewayConfig) => ({
  dayMicros: day === undefined ? null : toMicros(day),
  monthMicros: month === undefined ? null : toMicros(month),
})

const limitsOf = (config: GatewayConfig): LimitValues => ({
  requestsPerMinute: config.RATE_LIMIT_PER_MINUTE,
  createsPerMinute: config.MAX_CREATES_PER_MINUTE,
  createsPerDay: config.MAX_CREATES_PER_DAY,
  openVideos: config.MAX_OPEN_VIDEOS,
  apiKeys: config.MAX_API_KEYS,
  streams: config.MAX_STREAMS_PER_USER ?? Math.ceil(config.MAX_STREAMS / 2),
})
