/**
 * submit owns `pending`: it accepts requests, and for each video sends the provider one create per intent.
 *
 * It may die at any step. Accepted rows without work are queued again at start and by the reconciler; an intent without an answer
 * is looked up by own id, never sent again while it may have been accepted.
 */
import { v7 as uuidv7 } from './uuid.ts'
import { connectBus } from '#libs/bus/connect.ts'
import { publishOwed } from '#libs/bus/outbox.ts'
import { serve } from '#libs/bus/rpc.ts'
import { consumers, streams, waitForTopology } from '#libs/bus/topology.ts'
import { consumeWork, publishWork } from '#libs/bus/work.ts'
import { createToapis } from '#libs/provider/toapis.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startHealthServer } from '#libs/runtime/health.ts'
import { Metrics } from '#libs/runtime/metrics.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { commandSubject, generateCommandSchema, nudgeSubject, submitWorkSubject, videoCommandSchema, workSchema, type CommandReply } from '#libs/scene-video/messages.ts'
import { isReachable, openDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { Refused, SubmissionWriter } from '#libs/store/submissions.ts'
import type { SubmitConfig } from './config.ts'
import { settleVideo } from './settle.ts'
import { submitVideo, type SubmitContext } from './submit-video.ts'

export async function startSubmit(config: SubmitConfig): Promise<Service> {
  const log = createLogger('submit', config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: 'submit', log })
  const db = openDatabase(config.DATABASE_URL, 12)
  const store = new SubmissionWriter(db)
  const outbox = new Outbox(db)
  const provider = createToapis({ createTimeoutMs: config.CREATE_TIMEOUT_MS, getTimeoutMs: 10_000 })
  const metrics = new Metrics()
  await waitForTopology(bus, log)

  const publish = (id: string) => publishOwed(bus, outbox, [id]).catch((err: unknown) => log.warn({ err: (err as Error).message, video: id }, 'event stays owed'))
  const context: SubmitContext = {
    config, log, bus, store, provider, publish, clock: systemClock,
    creates: metrics.counter('creates_total', 'Answers to creates, by meaning', ['answer']),
    throttledUntil: new Map(),
  }

  /** A refusal becomes its reply; anything else means nobody knows, and the caller hears nothing. */
  const reply = async (run: () => Promise<CommandReply>): Promise<CommandReply> => {
    try {
      return await run()
    } catch (err) {
      if (err instanceof Refused) return { ok: false, status: err.status, code: err.code, detail: err.message }
      throw err
    }
  }
  const begin = async (id: string) => {
    await publishWork(bus, submitWorkSubject(id), { id }).catch((err: unknown) => log.warn({ err: (err as Error).message, video: id }, 'work not queued, left to the reconciler'))
    void publish(id)
  }

  const servers = [
    serve(bus, { subject: commandSubject.generate, queue: 'submit', schema: generateCommandSchema, log }, (command) =>
      reply(async () => {
        const system = { provider: provider.name, model: config.TOAPIS_MODEL }
        const { video, created } = await store.accept({ ...command, id: uuidv7(), system })
        if (created) {
          crashPoint('request-accepted')
          await begin(video.id)
        }
        return { ok: true, video }
      })),
    serve(bus, { subject: commandSubject.cancel, queue: 'submit', schema: videoCommandSchema, log }, (command) =>
      reply(async () => {
        const { video, ownerActs } = await store.cancel(command.userId, command.id, command.attempt)
        if (ownerActs) bus.publishCore(nudgeSubject(video.id), { id: video.id, reason: 'cancel' })
        else void publish(video.id)
        return { ok: true, video }
      })),
    serve(bus, { subject: commandSubject.retry, queue: 'submit', schema: videoCommandSchema, log }, (command) =>
      reply(async () => {
        const video = await store.retry(command.userId, command.id, command.attempt)
        await begin(video.id)
        return { ok: true, video }
      })),
  ]

  const unfinished = await new Recovery(db).pendingVideos(0)
  for (const id of unfinished) await publishWork(bus, submitWorkSubject(id), { id })
  log.info({ count: unfinished.length }, `Found ${unfinished.length} unfinished videos to submit or look up`)

  const work = [
    consumeWork(bus, { stream: streams.work, consumer: consumers.submit, schema: workSchema, concurrency: config.CREATE_CONCURRENCY, log }, ({ id }) => submitVideo(context, id)),
    consumeWork(bus, { stream: streams.work, consumer: consumers.settle, schema: workSchema, concurrency: 10, log }, ({ id }) => settleVideo(context, id)),
  ]
  const health = await startHealthServer({
    port: config.HEALTH_PORT, host: config.HEALTH_HOST, metrics,
    checks: { nats: () => bus.isConnected(), postgres: () => isReachable(db), work: () => work.every((one) => one.isHealthy()) },
  })
  log.info({ healthPort: health.port }, 'submit started')

  return createService('submit', async () => {
    await Promise.all([...servers.map((server) => server.stop()), ...work.map((one) => one[Symbol.asyncDispose]())])
    await bus.drain()
    await Promise.all([db.$disconnect(), provider[Symbol.asyncDispose](), health[Symbol.asyncDispose]()])
  })
}
