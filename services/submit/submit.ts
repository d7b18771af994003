/**
 * What submit does with its parts: it answers commands, and works on pending videos and on what
 * failed ones left behind.
 */
import { serve } from '#libs/bus/rpc.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/topology.ts'
import { consumeWork, publishWork } from '#libs/bus/work.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import {
  commandSubject,
  generateCommandSchema,
  nudgeSubject,
  submitWorkSubject,
  testConfigCommandSchema,
  videoCommandSchema,
  workSchema,
  type CommandReply,
} from '#libs/scene-video/messages.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { Recovery } from '#libs/store/recovery.ts'
import { isDataFault, isOutage } from '#libs/store/errors.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import { settleVideo } from './settle.ts'
import { submitVideo, type SubmitContext } from './submit-video.ts'
import { testConfig } from './test-config.ts'

/** A refusal becomes its reply; anything else means nobody knows, and the caller hears nothing. */
async function replyOf(run: () => Promise<CommandReply>): Promise<CommandReply> {
  try {
    return await run()
  } catch (err) {
    if (err instanceof Refused) return { ok: false, code: err.code, detail: err.message }
    if (isDataFault(err))
      return {
        ok: false,
        code: 'invalid_request',
        detail: 'A value has characters that cannot be stored.',
      }
    throw err
  }
}

export async function runSubmit(
  context: SubmitContext,
  recovery: Pick<InterfaceOf<Recovery>, 'pendingVideos'>,
  newId: () => string,
): Promise<AsyncDisposable & { isHealthy(): boolean }> {
  const { bus, clock, config, log, provider, publish, store } = context

  const begin = async (id: string) => {
    await publishWork(bus, submitWorkSubject(id), { id }).catch((err: unknown) =>
      log.warn({ err, video: id }, 'work not queued, left to the reconciler'),
    )
    void publish(id)
  }
  const servers = [
    serve(
      bus,
      { subject: commandSubject.generate, queue: 'submit', schema: generateCommandSchema, log },
      (command) =>
        replyOf(async () => {
          const system = { provider: provider.name, model: config.TOAPIS_MODEL }
          const { video, created } = await store.accept({ ...command, id: newId(), system })
          if (created) {
            crashPoint('request-accepted')
            await begin(video.id)
          }
          return { ok: true, video }
        }),
    ),
    serve(
      bus,
      { subject: commandSubject.cancel, queue: 'submit', schema: videoCommandSchema, log },
      (command) =>
        replyOf(async () => {
          const { video, ownerActs } = await store.cancel(
            command.userId,
            command.id,
            command.attempt,
            command.idempotencyKey,
          )
          if (ownerActs) bus.publishCore(nudgeSubject(video.id), { id: video.id, reason: 'cancel' })
          else void publish(video.id)
          return { ok: true, video }
        }),
    ),
    serve(
      bus,
      { subject: commandSubject.retry, queue: 'submit', schema: videoCommandSchema, log },
      (command) =>
        replyOf(async () => {
          const video = await store.retry(
            command.userId,
            command.id,
            command.attempt,
            command.idempotencyKey,
          )
          await begin(video.id)
          return { ok: true, video }
        }),
    ),
    serve(
      bus,
      { subject: commandSubject.testConfig, queue: 'submit', schema: testConfigCommandSchema, log },
      (command) => testConfig(context, command),
    ),
  ]

  const unfinished = await recovery.pendingVideos(0)
  for (const id of unfinished) await publishWork(bus, submitWorkSubject(id), { id })
  log.info(
    { count: unfinished.length },
    `Found ${unfinished.length} unfinished videos to submit or look up`,
  )

  const policy = { log, clock, dead: context.dead, isOutage }
  const work = [
    consumeWork(
      bus,
      {
        stream: streams.work,
        consumer: consumers.submit,
        schema: workSchema,
        concurrency: config.CREATE_CONCURRENCY,
        ...policy,
      },
      ({ id }) => submitVideo(context, id),
    ),
    consumeWork(
      bus,
      {
        stream: streams.work,
        consumer: consumers.settle,
        schema: workSchema,
        concurrency: 10,
        ...policy,
      },
      ({ id }) => settleVideo(context, id),
    ),
  ]
  return {
    isHealthy: () => work.every((one) => one.isHealthy()),
    async [Symbol.asyncDispose]() {
      await Promise.all([
        ...servers.map((server) => server.stop()),
        ...work.map((one) => one[Symbol.asyncDispose]()),
      ])
    },
  }
}
