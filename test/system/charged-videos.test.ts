/** A charge is part of the transaction that makes what it is for. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bootMs } from '#libs/runtime/clock.ts'
import type { NewVideo } from '#libs/store/submissions.ts'
import { startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
beforeAll(async () => {
  kit = await startStore()
})
afterAll(() => kit?.[Symbol.asyncDispose]())

it('charges what it makes, and makes nothing that it cannot charge', async () => {
  const { db, demo, submissions: store } = kit
  const order = (id: string) => ({ userId: demo.userId, id, attempt: null })
  const charge = { micros: 2_000_000, dayMicros: 3_000_000, monthMicros: null }
  const key = (text: string) => ({ key: text, route: 'paid', bodyHash: 'h' })
  const system = { provider: 'toapis', providers: {} }
  const request = { ...demo, sceneId: demo.sceneIds[0]!, body: {}, idempotencyKey: null, system }
  const paid = (more: Partial<NewVideo> = {}) =>
    store.acceptRequest({ ...request, id: crypto.randomUUID(), charge, ...more })
  const twice = [1, 2, 3].map(() => paid({ idempotencyKey: key('once') }))
  const [id, ...same] = (await Promise.all(twice)).map((one) => one.video.id)
  expect(same).toEqual([id, id])
  const refused = { code: 'budget_exceeded' }
  await expect(paid()).rejects.toMatchObject(refused)
  await expect(paid({ idempotencyKey: key('other') })).rejects.toMatchObject(refused)
  expect((await paid({ idempotencyKey: key('once') })).made).toBeNull()
  await store.cancel(order(id!))
  await expect(store.retry({ ...order(id!), charge })).rejects.toMatchObject(refused)
  expect((await store.load(id!))!.video).toMatchObject({ status: 'failed', attempt: 1 })
  const more = { ...charge, dayMicros: null }
  const late = { charge: more, beginBy: bootMs() - 1 }
  await expect(paid(late)).rejects.toMatchObject({ code: 'not_awaited' })
  await expect(store.retry({ ...order(id!), ...late })).rejects.toMatchObject({
    code: 'not_awaited',
  })
  const spent = async () => Number((await db.userSpend.findFirstOrThrow()).dayMicros)
  expect(await spent()).toBe(2_000_000)
  await store.retry({ ...order(id!), charge: more })
  expect((await paid({ charge: more, idempotencyKey: key('other') })).made).not.toBeNull()
  expect(await spent()).toBe(6_000_000)
})
