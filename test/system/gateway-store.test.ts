/**
 * Live streams while NATS loses its store, or goes back to an older copy of it: they stay open, and
 * no end of a video is missed.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'nats'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Proxy } from '../chaos/proxy.ts'
import { Stack } from '../support/gateway-kit.ts'
import { isEnd, SseReader, WebSocketReader, type Message } from '../support/live-reader.ts'
import { until } from '../support/system.ts'

const stack = new Stack({ RECONCILE_INTERVAL_MS: '1000', STALE_AFTER_MS: '3000' })
const copies = mkdtempSync(join(tmpdir(), 'reelkeeper-copies-'))
beforeAll(async () => {
  await stack.start()
  await stack.simulate({ minSeconds: 1, maxSeconds: 2, tier: 'off' })
  await stack.poller()
  await stack.reconciler()
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  rmSync(copies, { recursive: true, force: true })
})

const submit = () =>
  until('a video', async () => {
    const { status, body } = await stack.ask('POST', `${stack.scenePath}/generate-video`)
    return status === 202 ? String(body['id']) : undefined
  })
const ended = (id: string) =>
  until('the video to end', async () =>
    (await stack.ask('GET', `/api/scene-videos/${id}`)).body['status'] === 'completed'
      ? true
      : undefined,
  )
/** Tells the end: as an event, or by a snapshot taken after it. */
const tellsEnd = (id: string) => (one: Message) =>
  isEnd(id)(one) ||
  (one.event === 'snapshot' && one.data?.id === id && one.data.status === 'completed')

/** Events of nobody: they only move the stream on. */
async function store(count: number, videoId: string): Promise<void> {
  const video = (await stack.ask('GET', `/api/scene-videos/${videoId}`)).body
  const nobodys = '0197a000-0000-7000-8000-00000000dead'
  const nc = await connect({ servers: stack.natsUrl })
  for (let i = 0; i < count; i++)
    await nc
      .jetstream()
      .publish(
        `video.out.progress.${nobodys}`,
        JSON.stringify({ ...video, id: nobodys, userId: nobodys, projectId: nobodys }),
      )
  await nc.close()
}

/** Where the stream ends. */
async function streamEnd(): Promise<number> {
  const nc = await connect({ servers: stack.natsUrl })
  const { state } = await (await nc.jetstreamManager()).streams.info('VIDEO')
  await nc.close()
  return state.last_seq
}

/** Up to where a gateway has heard it. */
async function heardBy(url: string): Promise<number> {
  const reader = await SseReader.open(stack, '/api/events', { key: await stack.stranger(), url })
  const { id } = await reader.heard('a position', () => true)
  reader.close()
  return Number(id.split('-')[1])
}

async function readers(id: string, url = stack.gatewayUrl) {
  const all = [
    await SseReader.open(stack, '/api/events', { url }),
    await SseReader.open(stack, `/api/scene-videos/${id}/events`, { url }),
    await WebSocketReader.open(stack, { url }),
  ]
  for (const reader of all) await reader.heard('the snapshot', (one) => one.data?.id === id)
  return all
}

it('loses its store: every stream stays open, begins with a snapshot again, and tells every end', async () => {
  // long enough to be seen at work on a busy machine
  await stack.simulate({ minSeconds: 15, maxSeconds: 16 })
  const id = await submit()
  const all = await readers(id)
  const ids = new Set(all.flatMap((reader) => reader.messages.map((one) => one.id.split('-')[0])))
  const old = all[0]!.messages.at(-1)!.id
  await until('it to be polled', async () =>
    (await stack.ask('GET', `/api/scene-videos/${id}`)).body['status'] === 'generating'
      ? true
      : undefined,
  )
  await stack.restartNats((store) => rmSync(store, { recursive: true, force: true }))
  for (const reader of all)
    await reader.heard(
      'the snapshot of the new store',
      (one) => one.event === 'snapshot' && !ids.has(one.id.split('-')[0]),
    )
  for (const reader of all) await reader.heard('the end', tellsEnd(id))
  await stack.simulate({ minSeconds: 1, maxSeconds: 2 })
  const next = await submit()
  for (const reader of [all[0]!, all[2]!]) {
    const { data } = await reader.heard('the end of the next', isEnd(next))
    const heard = reader.messages
      .filter((one) => one.data?.id === next && one.event !== 'snapshot')
      .map((one) => one.data!.version)
    expect(heard).toEqual(Array.from({ length: data!.version }, (_, i) => i + 1))
  }
  expect(all.map((reader) => reader.ended)).toEqual([false, false, false])
  const late = await SseReader.open(stack, '/api/events', { lastEventId: old })
  expect((await late.heard('a snapshot', (one) => one.data?.id === next)).event).toBe('snapshot')
  for (const reader of [...all, late]) reader.close()
})

it('goes back to an older copy, and grows past where a gateway was, unseen by it: their streams are shown what they missed', async () => {
  const proxy = await Proxy.to(Number(new URL(stack.natsUrl).port))
  const gateway = await stack.gateway({ NATS_URL: `nats://127.0.0.1:${proxy.port}` })
  try {
    await stack.restartNats((store) => cpSync(store, join(copies, 'a'), { recursive: true }))
    const lost = await submit()
    await ended(lost)
    const start = await streamEnd()
    await store(50, lost)
    const position = await until('both gateways to be at the end', async () => {
      const ends = [await streamEnd(), await heardBy(stack.gatewayUrl), await heardBy(gateway.url)]
      return new Set(ends).size === 1 && ends[0]! >= start + 50 ? ends[0] : undefined
    })
    const [all, others] = [await readers(lost, gateway.url), await readers(lost)]
    proxy.halfOpen()
    await stack.restartNats((store) => {
      rmSync(store, { recursive: true, force: true })
      cpSync(join(copies, 'a'), store, { recursive: true })
    })
    const missed = [await submit(), await submit(), await submit()]
    for (const id of missed) await ended(id)
    expect(await streamEnd(), 'where what is missed ends').toBeLessThan(position)
    await store(60, lost)
    proxy.heal(true)
    const whole = [all[0]!, all[2]!, others[0]!, others[2]!]
    for (const reader of whole) for (const id of missed) await reader.heard('the end', tellsEnd(id))
    const next = await submit()
    for (const reader of whole) await reader.heard('the end of the next', isEnd(next))
    expect([...all, ...others].filter((reader) => reader.ended)).toEqual([])
    for (const reader of [...all, ...others]) reader.close()
  } finally {
    proxy.heal(true)
    await gateway[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
  }
})
