import type { z } from 'zod'
import type { Logger } from '#libs/runtime/logger.ts'
import { jsonOf, type Bus, type CoreMessage } from './bus.ts'

/** Answers requests on `subject`, shared among the processes of `queue`. A request that does not fit gets no answer. */
export function serve<T>(
  bus: Bus,
  options: { subject: string; queue: string; schema: z.ZodType<T>; log: Logger },
  handle: (request: T) => Promise<unknown>,
): { stop(): Promise<void> } {
  const inHand = new Set<Promise<void>>()
  const answer = async (message: CoreMessage) => {
    try {
      message.respond(await handle(options.schema.parse(jsonOf(message))))
    } catch (err) {
      options.log.error({ err, subject: message.subject }, 'request failed')
    }
  }
  const subscription = bus.subscribe(options.subject, options.queue, (message) => {
    const work = answer(message).finally(() => inHand.delete(work))
    inHand.add(work)
  })
  return {
    async stop() {
      subscription.stop()
      await Promise.allSettled(inHand)
    },
  }
}

/** Calls back for every core message on `subject` that fits; others are ignored. */
export function listen<T>(bus: Bus, subject: string, schema: z.ZodType<T>, listener: (body: T) => void): { stop(): void } {
  return bus.subscribe(subject, null, (message) => {
    try {
      const parsed = schema.safeParse(jsonOf(message))
      if (parsed.success) listener(parsed.data)
    } catch {
      // not JSON: nothing of ours
    }
  })
}
