import { afterEach, expect, it } from 'vitest'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import type { App } from '../context.ts'
import type { Identity } from '../identity.ts'
import { createApp } from '../server.ts'
import { leaveTurn, Turns } from '../turns.ts'
import { registerTurns } from './request-turns.ts'

const few = 2
const config = { access: { scope: 'any' as const } }
let app: App
let now: number
let overdue: (() => void)[]
afterEach(() => app.close())

/** Users are told by a header; `act` is what the route does. */
function serving(act: (userId: string) => Promise<unknown>, after = systemClock.after) {
  now = 0
  overdue = []
  app = createApp(createLogger('gateway', 'silent'))
  app.addHook('onRequest', async (request) => {
    request.identity = { userId: String(request.headers['x-user']) } as Identity
  })
  registerTurns(app, new Turns({ ...systemClock, now: () => now, after }))
  app.get('/', { config }, (request) => act(request.identity.userId))
  return (user: string) => app.inject({ url: '/', headers: { 'x-user': user } })
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20))
const gate = () => Promise.withResolvers<object>()

it('answers another user while one has however many requests in work', async () => {
  const { promise, resolve } = gate()
  let begun = 0
  const ask = serving((userId) => (userId === 'a' ? (begun++, promise) : Promise.resolve({})))
  const many = Array.from({ length: 50 }, () => ask('a'))
  await settled()
  expect(begun).toBe(few)
  expect((await ask('b')).statusCode).toBe(200)
  expect(begun).toBe(few)
  resolve({})
  expect((await Promise.all(many)).map((one) => one.statusCode)).toEqual(Array(50).fill(200))
})

it('answers another user between two of many that ask at once', async () => {
  const order: string[] = []
  const ask = serving(async (userId) => (order.push(userId), {}))
  const many = Array.from({ length: 50 }, () => ask('a'))
  await Promise.all([...many, ask('b')])
  expect(order.indexOf('b')).toBeLessThan(10)
})

it('gives the turn of a request that waits for somebody else to the next one', async () => {
  const { promise, resolve } = gate()
  let begun = 0
  const ask = serving(async () => {
    begun++
    await settled()
    leaveTurn()
    return promise
  })
  const many = Array.from({ length: 6 }, () => ask('a'))
  await expect.poll(() => begun).toBe(6)
  resolve({})
  await Promise.all(many)
})

it('lets the next one begin where one takes longer than a second', async () => {
  const { promise, resolve } = gate()
  let begun = 0
  const ask = serving(
    () => (begun++, promise),
    (_ms, act) => (overdue.push(act), () => {}),
  )
  const many = Array.from({ length: 3 }, () => ask('a'))
  await settled()
  expect([begun, overdue.length]).toEqual([few, few])
  overdue[0]!()
  await expect.poll(() => begun).toBe(few + 1)
  resolve({})
  await Promise.all(many)
})

it('gives a turn back where the request fails', async () => {
  const ask = serving(() => Promise.reject(new Error('no')))
  for (let i = 0; i < 10; i++) expect((await ask('a')).statusCode).toBe(500)
})

it('refuses what has waited for 30 s', async () => {
  const { promise, resolve } = gate()
  const ask = serving(() => promise)
  const held = [ask('a'), ask('a')]
  await settled()
  const late = ask('a')
  await settled()
  now = 30_001
  resolve({})
  const { statusCode, headers } = await late
  expect([statusCode, headers['retry-after']]).toEqual([503, '2'])
  expect((await Promise.all(held)).map((one) => one.statusCode)).toEqual([200, 200])
  expect((await ask('a')).statusCode).toBe(200)
})

it('does nothing for who is gone when the turn comes', async () => {
  const { promise, resolve } = gate()
  let begun = 0
  const ask = serving(() => (begun++, promise))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const asked = Array.from({ length: 6 }, () =>
    get({ port, headers: { 'x-user': 'a' }, agent: false }).on('error', () => {}),
  )
  await expect.poll(() => begun).toBe(few)
  await settled()
  for (const one of asked) one.destroy()
  await settled()
  // what is in work goes on, whoever is gone
  expect(begun).toBe(few)
  const next = ask('a')
  resolve({})
  expect((await next).statusCode).toBe(200)
  expect(begun).toBe(few + 1)
})
