/** On a real nats-server: what is held back to be written together. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startNats } from '#libs/local/nats-server.ts'
import type { LocalServer } from '#libs/local/server-process.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { reportSubject } from '#libs/scene-video/messages.ts'
import { connectBus } from './connect.ts'
import { ensureTopology } from './topology.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-acks-'))
let server: LocalServer

beforeAll(async () => {
  server = await startNats({ dir })
})
afterAll(async () => {
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const open = () => connectBus({ url: server.url, name: 'test', log: createLogger('test', 'silent') })
const subject = () => reportSubject(crypto.randomUUID())

it('stores what was held back in its order, at the latest with the next that does not wait', async () => {
  const bus = await open()
  await ensureTopology(bus, async () => 1)
  const held = [1, 2, 3].map(() => bus.store(subject(), '{}', { gatherMs: 50 }))
  const [first, second, third] = await Promise.all(held)
  expect([second, third]).toEqual([first! + 1, first! + 2])
  const waiting = bus.store(subject(), '{}', { gatherMs: 60_000 })
  expect(await bus.store(subject(), '{}')).toBe(first! + 4)
  expect(await waiting).toBe(first! + 3)
  await bus.drain()
})

it('refuses what is still held back when the connection closes, and harms nobody', async () => {
  const bus = await open()
  const held = bus.store(subject(), '{}', { gatherMs: 50 }).catch((err: Error) => err.name)
  await bus.drain()
  expect(await held).toBe('BusUnavailable')
})
