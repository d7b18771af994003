import type { z } from 'zod'
import { bootMs } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { jsonOf, type Bus, type CoreMessage } from './bus.ts'
import { isNewer } from './version.ts'

export interface ServeOptions<T> {
  subject: string
  queue: string
  schema: z.ZodType<T>
  log: Logger
}

/**
 * Answers requests on `subject`, shared among the processes of `queue`. A request that does not fit
 * is told so; one whose handler fails gets no answer, as nobody knows what became of it.
 */
export const serve = <T>(
  bus: Bus,
  options: ServeOptions<T>,
  handle: (request: T) => Promise<unknown>,
): Serving => answerAll(bus, options, bootMs, handle)

/**
 * The same, where `askedMs` tells at most how long ago the request was made, on its way here and
 * since. That takes a ping every two seconds, also while nobody asks.
 */
export function serveTimed<T>(
  bus: Bus,
  options: ServeOptions<T>,
  handle: (request: T, askedMs: () => number) => Promise<unknown>,
): Serving {
  bus.mostDelayMs() // known by when the first request comes
  return answerAll(bus, options, () => bootMs() - bus.mostDelayMs(), handle)
}

interface Serving {
  stop(): Promise<void>
}

function answerAll<T>(
  bus: Bus,
  options: ServeOptions<T>,
  nowAsked: () => number,
  handle: (request: T, askedMs: () => number) => Promise<unknown>,
): Serving {
  const inHand = new Set<Promise<void>>()
  const parse = (
    message: CoreMessage,
  ): { success: true; data: T } | { success: false; isNewer: boolean; reason: string } => {
    try {
      const body = jsonOf(message)
      const parsed = options.schema.safeParse(body)
      if (parsed.success) return parsed
      return {
        success: false,
        isNewer: isNewer(body),
        reason: parsed.error.issues
          .map((one) => `${one.path.join('.')}: ${one.message}`)
          .join('; ')
          .slice(0, 1000),
      }
    } catch {
      return { success: false, isNewer: false, reason: 'not JSON' }
    }
  }
  const answer = async (message: CoreMessage, askedAt: number) => {
    const request = parse(message)
    if (!request.success) {
      options.log.warn({ subject: message.subject, reason: request.reason }, 'request does not fit')
      return message.respond({
        ok: false,
        // its sender asks again, and may meet a newer process
        code: request.isNewer ? 'not_awaited' : 'invalid_request',
        detail: request.reason,
      })
    }
    try {
      message.respond(await handle(request.data, () => bootMs() - askedAt))
    } catch (err) {
      options.log.error({ err, subject: message.subject }, 'request failed')
    }
  }
  const subscription = bus.subscribe(options.subject, options.queue, (message) => {
    const work = answer(message, nowAsked()).finally(() => inHand.delete(work))
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
export function listen<T>(
  bus: Pick<Bus, 'subscribe'>,
  subject: string,
  schema: z.ZodType<T>,
  listener: (body: T) => void,
): { stop(): void } {
  return bus.subscribe(subject, null, (message) => {
    try {
      const parsed = schema.safeParse(jsonOf(message))
      if (parsed.success) listener(parsed.data)
    } catch {
      // not JSON: nothing of ours
    }
  })
}
