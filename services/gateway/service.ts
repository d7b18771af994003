/**
 * gateway: HTTP, SSE and WebSocket for frontends. It holds no state that matters: reads come from Postgres, live events from
 * stream VIDEO, and whatever changes a video is asked of submit.
 */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import websocket from '@fastify/websocket'
import { fastify, type FastifyBaseLogger } from 'fastify'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { AddressInfo } from 'node:net'
import { connectBus } from '#libs/bus/connect.ts'
import { openEventFeed } from '#libs/bus/event-feed.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger, type Logger } from '#libs/runtime/logger.ts'
import { failingChecks, startHealthServer } from '#libs/runtime/health.ts'
import { Metrics } from '#libs/runtime/metrics.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase } from '#libs/store/connect.ts'
import { ProjectWriter } from '#libs/store/projects.ts'
import { Reader } from '#libs/store/reader.ts'
import type { App, Context } from './app.ts'
import { Auth } from './auth.ts'
import type { GatewayConfig } from './config.ts'
import { notFound, sendProblem } from './problem.ts'
import { liveRoutes } from './routes/live.ts'
import { projectRoutes } from './routes/projects.ts'
import { videoRoutes } from './routes/videos.ts'
import { webhookRoutes } from './routes/webhooks.ts'

export async function startGateway(config: GatewayConfig): Promise<Service & { url: string }> {
  const log = createLogger('gateway', config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: 'gateway', log })
  const db = openDatabase(config.DATABASE_URL, 10)
  await waitForTopology(bus, log)
  const feed = await openEventFeed(bus, log)
  const reader = new Reader(db)
  const context: Context = { bus, feed, reader, projects: new ProjectWriter(db), auth: new Auth(reader, systemClock), webhookSecret: config.TOAPIS_WEBHOOK_SECRET }
  const checks = { nats: () => bus.isConnected(), postgres: () => isReachable(db), feed: () => feed.isHealthy() }
  const open = new Set<() => void>()

  const app = (await buildApp(context, open, checks, log)) as App
  await app.listen({ port: config.PORT, host: config.HOST })
  const health = await startHealthServer({ port: config.HEALTH_PORT, host: config.HEALTH_HOST, checks, metrics: new Metrics() })
  const { port } = app.server.address() as AddressInfo
  log.info({ port, healthPort: health.port }, 'gateway started')

  const service = createService('gateway', async () => {
    for (const close of open) close()
    await app.close()
    await feed[Symbol.asyncDispose]()
    await bus.drain()
    await Promise.all([db.$disconnect(), health[Symbol.asyncDispose]()])
  })
  return Object.assign(service, { url: `http://127.0.0.1:${port}` })
}

async function buildApp(context: Context, open: Set<() => void>, checks: Record<string, () => boolean | Promise<boolean>>, log: Logger): Promise<unknown> {
  const app = fastify({ loggerInstance: log as FastifyBaseLogger, disableRequestLogging: true, forceCloseConnections: true, bodyLimit: 256 * 1024, routerOptions: { maxParamLength: 200 } }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler((err, request, reply) => sendProblem(err, request, reply))
  app.setNotFoundHandler((request, reply) => sendProblem(notFound('There is no such route.'), request, reply))
  await app.register(websocket)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Reelkeeper', version: '0.1.0', description: 'Keeps AI video generation tasks alive.' },
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
      security: [{ apiKey: [] }],
    },
    transform: jsonSchemaTransform,
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  app.get('/livez', { schema: { hide: true } }, () => ({ status: 'ok' }))
  app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
    const failing = await failingChecks(checks)
    return reply.code(failing.length ? 503 : 200).send({ status: failing.length ? 'not ready' : 'ok', failing })
  })
  // An empty body of type JSON is a request without options.
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined)
    try {
      return done(null, JSON.parse(body as string))
    } catch {
      return done(Object.assign(new Error('The body is not JSON.'), { statusCode: 400 }))
    }
  })
  videoRoutes(app, context)
  projectRoutes(app, context)
  liveRoutes(app, context, open)
  webhookRoutes(app, context)
  return app
}
