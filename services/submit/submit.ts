/**
 * What submit does with its parts: it answers commands, and works on pending videos and on what
 * failed ones left behind.
 */
import type { z } from 'zod'
import { serve, serveTimed } from '#libs/bus/rpc.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { consumeWork } from '#libs/bus/work.ts'
import { bootMs } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { FairSlots } from '#libs/runtime/fair-slots.ts'
import {
  commandSubject,
  commandWaitMs,
  generateCommandSchema,
  nudgeSubject,
  testConfigCommandSchema,
  videoCommandSchema,
  workSchema,
  type CommandReply,
} from '#libs/scene-video/messages.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import { isDataFault, isOutage } from '#libs/store/errors.ts'
import { notAwaited, Refused } from '#libs/scene-video/refusals.ts'
import { settleVideo } from './settle.ts'
import { serveCallbacks } from './callbacks.ts'
import type { SubmitContext } from './context.ts'
import { PendingVideos } from './pending-videos.ts'
import { testConfig } from './test-config.ts'

/**
 * Who asked gives up after `commandWaitMs`, and may then have told a person that nothing was done:
 * so nothing is begun later than this, whatever stood still meanwhile.
 */
const mayBeginMs = commandWaitMs - 2_000

/** A refusal becomes its reply; anything else means nobody knows, and the caller hears nothing. */
export async function replyOf<R extends { ok: true }>(
  run: () => Promise<R>,
): Promise<R | Extract<CommandReply, { ok: false }>> {
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
  newId: () => string,
): Promise<AsyncDisposable & { isHealthy(): boolean }> {
  const { bus, clock, log, store } = context
  const pending = new PendingVideos(context)
  context.gate.onFree((video) => pending.take(video))
  const servers = serveCommands(context, pending, newId)

  const handedBack = await store.handBack()
  log.info({ count: handedBack }, `Found ${handedBack} unfinished videos to submit or look up`)

  const policy = { schema: workSchema, log, clock, dead: context.dead, isOutage }
  const stream = streams.work
  const work = [
    // waiting is no message: what is taken over is acknowledged at once
    consumeWork(
      bus,
      { stream, consumer: consumers.submit, concurrency: 100, ...policy },
      async ({ id }) => pending.take({ id }),
    ),
    consumeWork(bus, { stream, consumer: consumers.settle, concurrency: 10, ...policy }, ({ id }) =>
      settleVideo(context, id),
    ),
  ]
  return {
    isHealthy: () => work.every((one) => one.isHealthy()),
    async [Symbol.asyncDispose]() {
      await Promise.all([
        ...servers.map((server) => server.stop()),
        ...work.map((one) => one[Symbol.asyncDispose]()),
      ])
      await pending[Symbol.asyncDispose]()
    },
  }
}

/**
 * A request is worked on by the process that accepted it; its row finds another one if that dies.
 */
function serveCommands(context: SubmitContext, pending: PendingVideos, newId: () => string) {
  const { bus, commands, log, publish, publishOwed, store, turns } = context
  const answer = <T extends { userId: string }>(
    subject: string,
    schema: z.ZodType<T>,
    act: (body: T, beginBy: number) => Promise<{ video: SceneVideo; repeated?: boolean }>,
    slotsOf: (body: T) => FairSlots = () => commands,
  ) =>
    serveTimed(bus, { subject, queue: 'submit', schema, log }, (body, askedMs) =>
      replyOf(async () => {
        const done = await slotsOf(body).run(body.userId, () => {
          // rule: a command that nobody waits for is not carried out
          const leftMs = mayBeginMs - askedMs()
          if (leftMs < 0) throw notAwaited()
          return act(body, bootMs() + leftMs)
        })
        return { ok: true, ...done }
      }),
    )
  return [
    answer(
      commandSubject.generate,
      generateCommandSchema,
      async (command, beginBy) => {
        const system = context.systemAccounts.defaults
        const request = { ...command, id: newId(), system, beginBy }
        const { video, made } = await store.acceptRequest(request)
        if (made === null) return { video, repeated: true }
        crashPoint('request-accepted')
        publish(made.event)
        pending.take({ id: video.id, userId: command.userId }, made.loaded)
        return { video }
      },
      // rule: those who wait for one user’s budget leave connections to others
      ({ charge }) => (charge ? commands : turns),
    ),
    answer(commandSubject.cancel, videoCommandSchema, async (command, beginBy) => {
      const { video, ownerActs } = await store.cancel({ ...command, beginBy })
      // its row is due now, whoever has it in hand
      pending.lookSoon()
      if (ownerActs) bus.publishCore(nudgeSubject(video.id), { id: video.id, reason: 'cancel' })
      void publishOwed(video.id)
      return { video }
    }),
    answer(commandSubject.retry, videoCommandSchema, async (command, beginBy) => {
      const { userId, id } = command
      const done = await store.retry({ ...command, beginBy })
      if (done.repeated) return done
      void publishOwed(id)
      pending.take({ id, userId })
      return done
    }),
    serveCallbacks(context, pending),
    serve(
      bus,
      { subject: commandSubject.testConfig, queue: 'submit', schema: testConfigCommandSchema, log },
      (command) => testConfig(context, command),
    ),
  ]
}
