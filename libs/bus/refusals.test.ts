/** What the client throws, in the port's words. */
import { ErrorCode, NatsError } from 'nats'
import { expect, it } from 'vitest'
import { BusUnavailable } from './bus.ts'
import { notStored, translated } from './refusals.ts'

it('says of a stream that takes nothing what has to be done, and tries again', () => {
  const silent = new NatsError('TIMEOUT', ErrorCode.Timeout)
  const told = notStored(silent, 'video.report.a')
  expect(told).toBeInstanceOf(BusUnavailable)
  expect((told as Error).message).toMatch(/stores nothing on video\.report\.a.*restarted/)
  expect((translated(silent, 'video.report.a') as Error).message).toBe(
    'no answer on video.report.a: TIMEOUT',
  )
})
