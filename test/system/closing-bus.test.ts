/** A connection to a real nats-server while it is being closed, whose user tells on. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BusUnavailable, type CoreMessage, type Job } from '#libs/bus/bus.ts'
import { connectBus } from '#libs/bus/connect.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { streams } from '#libs/bus/streams.ts'
import { ensureTopology } from '#libs/bus/topology.ts'
import { publishWork } from '#libs/bus/work.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { submitWorkSubject } from '#libs/scene-video/messages.ts'
import { startNats } from '#services/dev/servers/nats-server.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { until } from '../support/system.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-closing-'))
let server: LocalServer
const open = (name: string) =>
  connectBus({
    config: { NATS_URL: server.url },
    name,
    log: createLogger('test', 'silent'),
  })

beforeAll(async () => {
  server = await startNats({ dir })
})
afterAll(async () => {
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

it('a connection that is being closed is no error for who tells, answers or has work in hand', async () => {
  const bus = await open('other')
  await ensureTopology(bus, { eventDays: 7, replicas: 1 }, async () => 1)
  const one = await open('closing')
  const kept: { job?: Job; asked?: CoreMessage } = {}
  const consuming = one.consume(streams.work, consumers.submit, 1, async (job) => {
    kept.job = job
  })
  one.subscribe('closing', null, (message) => (kept.asked = message))
  await publishWork(bus, submitWorkSubject('closing'), { id: 'closing' })
  void bus.request('closing', {}, 10_000).catch(() => {})
  await until('work and a question', () => (kept.job && kept.asked ? true : undefined))
  let isClosed = false
  const closed = one.drain().then(() => (isClosed = true))
  const act = () => {
    one.publishCore('closing.told', {})
    kept.asked!.respond({})
    kept.job!.working()
    kept.job!.nak(10)
  }
  for (let isLast = false; !isLast;) {
    isLast = isClosed
    act()
    await new Promise((done) => setImmediate(done))
  }
  await expect(one.store('$KV.OWNERSHIP.closing', '{}')).rejects.toThrow(BusUnavailable)
  await Promise.all([closed, consuming[Symbol.asyncDispose](), bus.drain()])
})
