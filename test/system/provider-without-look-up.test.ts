/** A provider that cannot look up by own id. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System } from '../support/system.ts'
import { asking, calm, timing } from '../support/misbehaving-kit.ts'

const system = new System({ ...timing, TOAPIS_FIND_BY_OWN_ID: 'false' })
const { submit, command, ended, creates, charged, metric } = asking(system)
beforeAll(async () => {
  await system.start(['--pollers', '1'])
  await system.simulate(calm)
})
afterAll(() => system[Symbol.asyncDispose]())

it('loses the answer to a create: failed with submission_unknown, never sent again but by a person’s retry', async () => {
  await system.simulate({ faults: { acceptThenReset: 1 } })
  const id = await submit()
  await charged(id)
  await system.simulate(calm)
  expect(await ended(id)).toMatchObject({
    status: 'failed',
    error: { code: 'submission_unknown' },
  })
  expect(await creates(id)).toEqual(['1'])
  expect(await metric('submit', 'lookups_total{answer="missing"}')).toBe(0)
  expect(await command(id, 'retry')).toBe(202)
  expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2 })
  expect(await creates(id)).toEqual(['1', '2'])
})
