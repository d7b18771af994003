/**
 * Messages nobody can handle, on a real nats-server: what dies and what does not, and what the
 * operator's command does about it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BusUnavailable } from '#libs/bus/bus.ts'
import { connectBus, type NatsBus } from '#libs/bus/connect.ts'
import { deadLetters } from '#libs/bus/dead-letters.ts'
import { serve } from '#libs/bus/rpc.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { ensureTopology } from '#libs/bus/topology.ts'
import { consumeWork, Snooze, publishWork } from '#libs/bus/work.ts'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { Metrics, deadLetters as deadMetric } from '#libs/runtime/metrics.ts'
import { settleWorkSubject, submitWorkSubject, workSchema } from '#libs/scene-video/messages.ts'
import { isOutage } from '#libs/store/errors.ts'
import { openDatabase } from '#libs/store/connect.ts'
import { command } from '../support/operate.ts'
import { until } from '../support/system.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-dead-'))
const log = createLogger('test', 'silent')
let server: LocalServer
let bus: NatsBus
beforeAll(async () => {
  server = await startNats({ dir: join(dir, 'nats') })
  bus = await connectBus({ config: { NATS_URL: server.url }, name: 'test', log })
  await ensureTopology(bus, { eventDays: 7, replicas: 1 }, async () => 1)
})
afterAll(async () => {
  await bus?.drain()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** The operator's command as one runs it. */
function reelkeeper(args: string[], natsUrl: string | undefined = server.url) {
  const { NATS_URL: _, ...env } = process.env
  return command({ ...env, ...(natsUrl ? { NATS_URL: natsUrl } : {}) }, args, dir)
}

/** Consumes submit's work with this handler until disposed; counts what dies. */
function consuming(consumer: string, handle: (id: string) => Promise<void>, tries = 2) {
  const metrics = new Metrics()
  const work = consumeWork(
    bus,
    {
      stream: streams.work,
      consumer,
      schema: workSchema,
      concurrency: 5,
      log,
      tries,
      dead: deadMetric(metrics),
      isOutage,
    },
    ({ id }) => handle(id),
  )
  return Object.assign(work, {
    died: async () =>
      /dead_letters_total\{kind="[\w-]+"\} (\d+)/.exec(await metrics.registry.metrics())?.[1],
  })
}
const dead = (text: string) =>
  until(
    `a dead letter of ${text}`,
    async () => (await deadLetters(bus)).find((letter) => letter.subject.endsWith(text)),
    20_000,
  )
const work = async (id = crypto.randomUUID(), subject = submitWorkSubject(id)) => {
  expect(await publishWork(bus, subject, { id })).toBe(true)
  return id
}

describe('what dies', () => {
  it('a message that does not fit, or names another video than its subject, at once; the others go on', async () => {
    const [one, other] = [crypto.randomUUID(), crypto.randomUUID()]
    const handled: string[] = []
    await bus.store(submitWorkSubject(one), JSON.stringify({ id: other }))
    await bus.store('video.work.submit.nonsense', new Uint8Array([0xff, 0xfe, 0]))
    await bus.store('video.work.submit.deep', '['.repeat(200_000))
    await using consumer = consuming(consumers.submit, async (id) => void handled.push(id))
    const good = await work()
    await until('the good one', () => handled.includes(good) || undefined)
    expect((await dead(one)).reason).toContain('another video')
    expect((await dead('nonsense')).reason).toBe('not JSON')
    expect((await dead('deep')).reason).toBe('not JSON')
    expect(handled).toEqual([good])
    expect(await consumer.died()).toBe('3')
  })

  it('a message too large to be kept whole, with as much of it as fits', async () => {
    await bus.store('video.work.submit.huge', 'x'.repeat(1_040_000))
    await using _ = consuming(consumers.submit, async () => {})
    expect(await dead('huge')).toMatchObject({ truncatedFrom: 1_040_000 })
  })
})

describe('what dies only when it fails, and what never does', () => {
  it('a message whose handler fails again and again, and one that waits, or whose store is away, never', async () => {
    const failing = await work()
    const ids = Array.from({ length: 3 }, () => crypto.randomUUID())
    const [, cutOff, unstored] = ids
    for (const id of ids) await work(id, settleWorkSubject(id))
    const away = openDatabase(`postgresql://x:x@127.0.0.1:${await freePort()}/x`, 1)
    const tries = new Map<string, number>()
    const seen = (id: string) => tries.set(id, (tries.get(id) ?? 0) + 1)
    await using _broken = consuming(consumers.submit, async (id) => {
      seen(id)
      throw new Error('this will never work')
    })
    await using _waiting = consuming(consumers.settle, async (id) => {
      seen(id)
      if (id === cutOff) throw new BusUnavailable('away')
      if (id === unstored) await away.$queryRaw`SELECT 1`
      throw new Snooze(50)
    })
    expect((await dead(failing)).reason).toContain('failed 2 times: this will never work')
    await until(
      'more tries than a failing one gets',
      () => ids.every((id) => (tries.get(id) ?? 0) >= 4) || undefined,
      30_000,
    )
    expect(
      (await deadLetters(bus)).filter(({ subject }) => ids.some((id) => subject.endsWith(id))),
    ).toEqual([])
    expect(tries.get(failing)).toBe(2)
    await away.$disconnect()
  })

  it('not a request: it is told that it does not fit', async () => {
    const server = serve(
      bus,
      { subject: 'video.command.test', queue: 'test', schema: workSchema, log },
      async () => ({ ok: true }),
    )
    expect(await bus.request('video.command.test', { id: 7 })).toMatchObject({
      ok: false,
      code: 'invalid_request',
    })
    expect(await bus.request('video.command.test', { id: crypto.randomUUID() })).toEqual({
      ok: true,
    })
    await server.stop()
  })
})

describe('reelkeeper dead-letters', () => {
  it('lists, shows, puts back and discards', async () => {
    const manager = await bus.manager()
    await manager.streams.purge(streams.dead)
    await manager.streams.purge(streams.work)
    for (const args of [['list'], ['put-back', '--all']])
      expect(await reelkeeper(['dead-letters', ...args])).toEqual({
        code: 0,
        out: 'No dead letters.\n',
        err: '',
      })

    const id = crypto.randomUUID()
    const fixed: string[] = []
    {
      await using _ = consuming(
        consumers.submit,
        async () => {
          throw new Error('not yet\u001b[31m')
        },
        1,
      )
      await work(id)
      await dead(id)
      await bus.store('video.work.submit.junk', '{"id": "\\u001b[2J"}')
      await dead('junk')
    }
    const [letter, junk] = await deadLetters(bus)
    const list = await reelkeeper(['dead-letters', 'list'])
    expect(list.out).toContain(
      `${letter!.sequence}  ${letter!.at}  ${submitWorkSubject(id)}  failed 1 times: not yet`,
    )
    expect(list.out).toMatch(/2 dead letters\n$/)
    expect(list.out).not.toContain('\u001b')
    expect((await reelkeeper(['dead-letters', 'show', String(letter!.sequence)])).out).toContain(
      `{"v":1,"id":"${id}"}`,
    )

    expect(await reelkeeper(['dead-letters', 'put-back', String(letter!.sequence)])).toMatchObject({
      code: 0,
      out: `${letter!.sequence} put back on ${submitWorkSubject(id)}\n`,
    })
    await using _ = consuming(consumers.submit, async (one) => void fixed.push(one))
    await until('it to be handled', () => fixed.includes(id) || undefined)
    expect(await reelkeeper(['dead-letters', 'discard', String(junk!.sequence)])).toMatchObject({
      code: 0,
    })
    expect(await deadLetters(bus)).toEqual([])
  })
})

describe('reelkeeper dead-letters, asked for what it cannot do,', () => {
  it('says what is wrong: an unknown number, a job queued already, NATS away, words it does not know', async () => {
    const unknown = await Promise.all(
      ['show', 'put-back', 'discard'].map((verb) => reelkeeper(['dead-letters', verb, '99999'])),
    )
    expect(unknown).toEqual(
      Array(3).fill({ code: 1, out: '', err: 'There is no dead letter 99999.\n' }),
    )
    const id = crypto.randomUUID()
    await bus.store(`video.dead.work-submit.${id}`, JSON.stringify({ id }), {
      headers: { 'Reelkeeper-Subject': `video.work.poll.${id}`, 'Reelkeeper-Reason': 'x' },
    })
    await work(id, `video.work.poll.${id}`)
    const [letter] = await deadLetters(bus)
    expect(await reelkeeper(['dead-letters', 'put-back', '--all'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('queued already'),
    })
    expect((await deadLetters(bus))[0]?.sequence).toBe(letter!.sequence)

    const nobody = `nats://127.0.0.1:${await freePort()}`
    expect(await reelkeeper(['dead-letters', 'list'], nobody)).toMatchObject({
      code: 1,
      err: expect.stringContaining(`NATS is not reachable at ${nobody}`),
    })
    expect(await reelkeeper(['dead-letters', 'list'], '')).toMatchObject({
      code: 1,
      err: expect.stringContaining('NATS_URL'),
    })
    const help = expect.stringContaining('dead-letters list') as string
    const misused = await Promise.all(
      [
        ['dead-letters'],
        ['dead-letters', 'show'],
        ['dead-letters', 'show', 'x'],
        ['dead-letters', 'bury', '1'],
      ].map((args) => reelkeeper(args)),
    )
    expect(misused).toEqual(Array(4).fill({ code: 2, out: '', err: help }))
    expect(await reelkeeper(['nonsense'])).toMatchObject({ code: 2, err: help })
    expect(await reelkeeper([])).toMatchObject({ code: 0, out: help })
  })
})
