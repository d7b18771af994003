import type { JetStreamClient } from 'nats'
import { expect, it } from 'vitest'
import { BusUnavailable } from './bus.ts'
import { newestOfEach } from './newest-of-each.ts'

/** A stream of three subjects that is heard for `heard` messages, and then no more. */
function cutOffAfter(heard: number): JetStreamClient {
  const message = (i: number) => ({
    subject: `a.${i}`,
    seq: i,
    data: new Uint8Array(),
    info: { pending: 3 - i },
  })
  const consumer = {
    info: async () => ({ num_pending: 3 }),
    consume: async () =>
      Object.assign(
        (async function* () {
          for (let i = 1; i <= heard; i++) yield message(i)
        })(),
        { stop: () => {} },
      ),
    delete: async () => true,
  }
  const client: unknown = { consumers: { get: async () => consumer } }
  return client as JetStreamClient
}
const list = (heard: number) =>
  newestOfEach(cutOffAfter(heard), 'S', { filter: 'a.*', headersOnly: true })

it('gives a list that is whole, or throws', async () => {
  expect((await list(3)).map((one) => one.subject)).toEqual(['a.1', 'a.2', 'a.3'])
  await expect(list(2)).rejects.toThrow(BusUnavailable)
  await expect(list(0)).rejects.toThrow('3 are missing')
})
