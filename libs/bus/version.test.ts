import { expect, it } from 'vitest'
import { z } from 'zod'
import { createLogger } from '#libs/runtime/logger.ts'
import type { Bus, CoreMessage, Job } from './bus.ts'
import { serve } from './rpc.ts'
import { leftAtMost } from './version.ts'
import { parseOrDeadLetter } from './work.ts'

const log = createLogger('test', 'silent')
const schema = z.object({ id: z.string(), kind: z.enum(['known']) })
const encode = (body: object) => new TextEncoder().encode(JSON.stringify(body))

/** What becomes of a job. */
async function taken(body: object, deliveries = 1): Promise<string[]> {
  const became: string[] = []
  const job: Job = {
    subject: 'video.work.submit.x',
    sequence: 1,
    data: encode(body),
    deliveries,
    header: () => undefined,
    ack: () => became.push('ack'),
    nak: (ms) => became.push(`again in ${ms}`),
    term: () => became.push('buried'),
    working: () => {},
  }
  const bus: Pick<Bus, 'store'> = { store: async () => 1 }
  const parsed = await parseOrDeadLetter({ bus: bus as Bus, log }, job, schema)
  return parsed ? ['parsed'] : became
}

it('leaves work of a newer version to a newer process, and buries it in the end', async () => {
  const newer = { v: 2, id: 'x', kind: 'of a later version' }
  expect(await taken(newer)).toEqual(['again in 10000'])
  expect(await taken(newer, leftAtMost + 1)).toEqual(['buried'])
  expect(await taken({ ...newer, v: 1 })).toEqual(['buried'])
  expect(await taken({ v: 2, id: 'x', kind: 'known', more: 1 })).toEqual(['parsed'])
})

it('has who asked in a newer version ask again', async () => {
  let listener: (message: CoreMessage) => void = () => {}
  const bus = {
    mostDelayMs: () => 0,
    subscribe: (_subject: string, _queue: string, on: typeof listener) => {
      listener = on
      return { stop() {} }
    },
  } as unknown as Bus
  const serving = serve(bus, { subject: 's', queue: 'q', schema, log }, async () => ({ ok: true }))
  const told: unknown[] = []
  for (const v of [1, 2])
    listener({
      subject: 's',
      data: encode({ v, id: 'x', kind: 'of a later version' }),
      respond: (body) => told.push(body),
    })
  await serving.stop()
  expect(told).toMatchObject([{ code: 'invalid_request' }, { code: 'not_awaited' }])
})
