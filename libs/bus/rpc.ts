import type { z } from 'zod'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Bus } from './connect.ts'

/** Answers requests on `subject`, shared among the processes of `queue`. A request that does not fit gets no answer. */
export function serve<T>(
  bus: Bus,
  options: { subject: string; queue: string; schema: z.ZodType<T>; log: Logger },
  handle: (request: T) => Promise<unknown>,
): { stop(): Promise<void> } {
  const inHand = new Set<Promise<void>>()
  const subscription = bus.nc.subscribe(options.subject, {
    queue: options.queue,
    callback: (err, message) => {
      if (err) return
      const work = answer(message).finally(() => inHand.delete(work))
      inHand.add(work)
    },
  })
  const answer = async (message: { json(): unknown; respond(data: string): boolean; subject: string }) => {
    try {
      const request = options.schema.parse(message.json())
      message.respond(JSON.stringify(await handle(request)))
    } catch (err) {
      options.log.error({ err, subject: message.subject }, 'request failed')
    }
  }
  return {
    async stop() {
      subscription.unsubscribe()
      await Promise.allSettled(inHand)
    },
  }
}

/** Calls back for every core message on `subject` that fits; others are ignored. */
export function listen<T>(bus: Bus, subject: string, schema: z.ZodType<T>, listener: (body: T) => void): { stop(): void } {
  const subscription = bus.nc.subscribe(subject, {
    callback: (err, message) => {
      if (err) return
      try {
        const parsed = schema.safeParse(message.json())
        if (parsed.success) listener(parsed.data)
      } catch {
        // not JSON: nothing of ours
      }
    },
  })
  return { stop: () => subscription.unsubscribe() }
}
