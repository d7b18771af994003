/**
 * gateway: HTTP, SSE and WebSocket for frontends. It holds no state that matters: reads come from
 * Postgres, live events from stream VIDEO, and whatever changes a video is asked of submit.
 */
import websocket from '@fastify/websocket'
import type { AddressInfo, Socket } from 'node:net'
import { connectBus } from '#libs/bus/connect.ts'
import { openEventFeed } from '#libs/bus/event-feed.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { startService, type Service, type Skeleton } from '#libs/runtime/service.ts'
import { providerNames } from '#libs/scene-video/ai-config.ts'
import { AiConfigs } from '#libs/store/ai-configs.ts'
import { ApiKeys } from '#libs/store/api-keys.ts'
import { isReachable, openDatabase, requirePostgresVersion } from '#libs/store/connect.ts'
import { isOutage } from '#libs/store/errors.ts'
import { ProjectWriter } from '#libs/store/projects.ts'
import { Reader } from '#libs/store/reader.ts'
import type { Context } from './context.ts'
import { Auth } from './auth.ts'
import type { GatewayConfig } from './config.ts'
import { createJwtVerifier } from './jwt.ts'
import { registerOpenApi } from './openapi.ts'
import { registerProtection } from './protection.ts'
import { history } from './live/hub.ts'
import { OpenStreams } from './live/open-streams.ts'
import { aiConfigRoutes } from './routes/ai-config.ts'
import { keyRoutes } from './routes/keys.ts'
import { liveRoutes } from './routes/live.ts'
import { projectRoutes } from './routes/projects.ts'
import { serviceRoutes } from './routes/service.ts'
import { videoRoutes } from './routes/videos.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { createApp } from './server.ts'
import { StreamTokens } from './stream-token.ts'

export function startGateway(
  config: GatewayConfig,
  signal?: AbortSignal,
): Promise<Service & { url: string }> {
  return startService({ name: 'gateway', config, signal }, (skeleton) => build(config, skeleton))
}

async function build(config: GatewayConfig, skeleton: Skeleton): Promise<{ url: string }> {
  const { log, metrics, checks, stack, signal } = skeleton
  const bus = stack.adopt(
    await connectBus({ config, user: 'gateway', name: 'gateway', log, signal }),
    (one) => one.drain(),
  )
  checks['nats'] = () => bus.isConnected()
  const db = stack.adopt(openDatabase(config.DATABASE_URL, 10), (one) => one.$disconnect())
  checks['postgres'] = () => isReachable(db)
  // without Postgres it answers 503 and waits for it
  await requirePostgresVersion(db).catch((err: unknown) => {
    if (!isOutage(err)) throw err
  })
  await waitForTopology(bus, log, signal)
  const feed = stack.use(await openEventFeed(bus, log, history))
  checks['feed'] = () => feed.isHealthy()
  const { JWKS_URL: jwksUrl, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = config
  const apiKeys = new ApiKeys(db)
  const jwt =
    jwksUrl && issuer && audience ? createJwtVerifier({ jwksUrl, issuer, audience }, apiKeys) : null
  const streamTokens = new StreamTokens(config.KEY_ENCRYPTION_KEY)
  const open = new OpenStreams({
    keys: apiKeys,
    log,
    intervalMs: config.STREAM_CHECK_INTERVAL_MS,
    most: config.MAX_STREAMS,
    count: metrics.gauge('open_streams', 'Live streams open on this gateway'),
  })
  const context: Context = {
    bus,
    open,
    feed,
    apiKeys,
    streamTokens,
    reader: new Reader(db),
    projects: new ProjectWriter(db),
    aiConfigs: new AiConfigs(db),
    auth: new Auth(apiKeys, systemClock, jwt, streamTokens),
    keys: config.KEY_ENCRYPTION_KEY,
    system: {
      provider: providerNames[0],
      model: config.TOAPIS_MODEL,
      baseUrl: config.TOAPIS_BASE_URL,
      apiKeyLast4: config.TOAPIS_API_KEY?.slice(-4) ?? null,
    },
    allowPrivateBaseUrls: config.ALLOW_PRIVATE_BASE_URLS,
    webhookSecret: config.TOAPIS_WEBHOOK_SECRET,
  }
  const app = createApp(log)
  // Of upgraded connections the server itself knows nothing any more, but it waits for them.
  const sockets = new Set<Socket>()
  stack.defer(async () => {
    await open[Symbol.asyncDispose]()
    const hurry = setTimeout(() => sockets.forEach((socket) => socket.destroy()), 3_000)
    await app.close()
    clearTimeout(hurry)
  })
  // Before what refuses: it ends the connection of an upgrade that was refused.
  await app.register(websocket, {
    options: { maxPayload: 1_024 },
    errorHandler: (_err, socket) => socket.terminate(),
  })
  await registerProtection(app, context.auth, config)
  await registerOpenApi(app)
  serviceRoutes(app, checks)
  for (const routes of [videoRoutes, projectRoutes, aiConfigRoutes, keyRoutes, webhookRoutes])
    routes(app, context)
  liveRoutes(app, context)
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await app.listen({ port: config.PORT, host: config.HOST })
  const { port } = app.server.address() as AddressInfo
  log.info({ port }, 'listening')
  return { url: `http://127.0.0.1:${port}` }
}
