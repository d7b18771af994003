/** What is known of an account outlives the key-encryption key that its id comes of. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sleep } from '#libs/runtime/clock.ts'
import { renameAccount } from '#libs/store/account-ids.ts'
import { ProviderAccounts } from '#libs/store/provider-accounts.ts'
import { startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
beforeAll(async () => void (kit = await startStore()))
afterAll(() => kit[Symbol.asyncDispose]())

it.each([
  ['nothing', [], null],
  ['open, to the former one', ['former open'], 'open'],
  ['open to the former one, then closed to the new one', ['former open', 'now close'], 'closed'],
  ['closed to the new one, then open to the former one', ['now close', 'former open'], 'open'],
  ['open to the new one, then reset to the former one', ['now open', 'former reset'], null],
] as const)('carries over what an account’s former id left, %s by hand', async (_, acts, held) => {
  const store = new ProviderAccounts(kit.db)
  const [former, now, provider] = [randomUUID(), randomUUID(), 'toapis']
  const key = { accountId: now, provider }
  await store.know({ accountId: former, provider }, 'x')
  await store.know(key, 'x', [former])
  const proofs = [former, `${former}/m`].map((accountId) => ({ accountId, provider }))
  await kit.db.accountProof.createMany({ data: proofs })
  const place = { provider, videoId: randomUUID(), attempt: 1 }
  await kit.db.providerTask.create({ data: { ...place, accountId: former } })
  for (const said of acts) {
    const [id, act] = said.split(' ') as ['former' | 'now', 'open' | 'close' | 'reset']
    const by = { keyId: 'k', name: 'n' }
    await store.act({ accountId: { former, now }[id], provider }, { act, reason: 'r', by })
    await sleep(5)
  }
  await renameAccount(kit.db, key, [former])
  expect(await store.list({ accountId: former, provider })).toEqual([])
  expect((await store.list(key))[0]!.held).toBe(held)
  const where = { accountId: { in: [former, `${former}/m`, now, `${now}/m`] } }
  const [proven, places] = [kit.db.accountProof, kit.db.providerTask]
  expect((await proven.findMany({ where })).map((one) => one.accountId).toSorted()).toEqual(
    [now, `${now}/m`].toSorted(),
  )
  expect(await places.findMany({ where })).toMatchObject([{ ...place, accountId: now }])
})
