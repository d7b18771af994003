/**
 * Live streams over real HTTP: first a snapshot, then everything after it once and in order, on any
 * gateway, whatever restarts.
 */
import { get } from 'node:http'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect } from 'nats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import { Stack } from '../support/gateway-kit.ts'
import {
  isEnd,
  SseReader,
  versions,
  WebSocketReader,
  type Message,
} from '../support/live-reader.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
beforeAll(async () => {
  await stack.start()
  await stack.simulate({ minSeconds: 1, maxSeconds: 2, tier: 'off' })
  await stack.poller()
})
afterAll(() => stack[Symbol.asyncDispose]())

const open = (
  ...args: Parameters<typeof SseReader.open> extends [Stack, ...infer Rest] ? Rest : never
) => SseReader.open(stack, ...args)
const submit = async (prompt = 'x') =>
  String(
    await until(
      'a video',
      async () =>
        (await stack.ask('POST', `${stack.scenePath}/generate-video`, { body: { prompt } })).body[
          'id'
        ],
    ),
  )

describe('a stream', () => {
  it('shows what there is, then every version once, to the user, the project and the video alike; to nobody else', async () => {
    const before = await submit()
    const readers = [
      await open(),
      await open(`/api/events?projectId=${stack.demo.projectId}`),
      await open('/api/events', { url: (await stack.gateway()).url }),
    ]
    const stranger = await open('/api/events', { key: await stack.stranger() })
    for (const reader of readers)
      await reader.heard(
        'the snapshot',
        (one) => one.event === 'snapshot' && one.data?.id === before,
      )
    const id = await submit('[fail]')
    const alone = await open(`/api/scene-videos/${id}/events`)
    for (const reader of [...readers, alone]) await reader.heard('the end', isEnd(id))
    for (const reader of readers) {
      const { version } = reader.messages.find(isEnd(id))!.data!
      expect(versions(reader.messages, id)).toEqual(
        Array.from({ length: version }, (_, i) => i + 1),
      )
      expect(new Set(reader.messages.map((one) => one.id)).size).toBeGreaterThan(1)
    }
    expect(alone.messages[0]!.event).toBe('snapshot')
    expect(new Set(alone.messages.map((one) => one.data?.id))).toEqual(new Set([id]))
    expect(stranger.messages.filter((one) => one.data)).toEqual([])
    for (const reader of [...readers, alone, stranger]) reader.close()
  })

  it('goes on after any id it gave, on another gateway too, without loss or repetition', async () => {
    const whole = await open()
    const id = await submit()
    await whole.heard('the end', isEnd(id))
    const other = await stack.gateway()
    const from = whole.messages.findIndex((one) => one.data?.id === id && one.event === 'requested')
    for (const url of [stack.gatewayUrl, other.url]) {
      for (let at = from; at < whole.messages.length; at++) {
        const rest = await open('/api/events', { url, lastEventId: whole.messages[at]!.id })
        const wanted = whole.messages.slice(at + 1).map((one) => one.id)
        await until('the rest', () => rest.messages.length >= wanted.length || undefined)
        expect(rest.messages.slice(0, wanted.length).map((one) => one.id)).toEqual(wanted)
        rest.close()
      }
    }
    const byQuery = await open(`/api/events?lastEventId=${whole.messages[from]!.id}`)
    await byQuery.heard('the end', isEnd(id))
    expect(byQuery.messages.some((one) => one.event === 'snapshot')).toBe(false)
    whole.close()
    byQuery.close()
  })
})

describe('a stream that cannot go on where it was', () => {
  it.each(['nonsense', '99-1', '1-0', '1-999999999', '', '0'])(
    'begins with a snapshot after the unknown id %j',
    async (lastEventId) => {
      const id = await submit()
      const reader = await open(`/api/events?lastEventId=${lastEventId}`)
      const first = await reader.heard('the snapshot', (one) => one.data?.id === id)
      expect(first.event).toBe('snapshot')
      reader.close()
    },
  )

  it('begins anew for a reader who broke off within the snapshot', async () => {
    const ids = [await submit(), await submit()]
    const reader = await open()
    await reader.heard('the snapshot', (one) => one.data?.id === ids[1])
    const snapshot = reader.messages.filter((one) => one.event === 'snapshot')
    expect(snapshot.slice(0, -1).every((one) => one.id.endsWith('-0'))).toBe(true)
    expect(snapshot.at(-1)!.id).not.toMatch(/-0$/)
    const again = await open('/api/events', { lastEventId: snapshot[0]!.id })
    for (const id of ids)
      expect((await again.heard('all of it', (one) => one.data?.id === id)).event).toBe('snapshot')
    reader.close()
    again.close()
  })

  it('ends with a hint when its gateway stops', async () => {
    const gateway = await stack.gateway()
    const reader = await open('/api/events', { url: gateway.url })
    await reader.heard('the first of it', () => true)
    const socket = await WebSocketReader.open(stack, { url: gateway.url })
    await gateway[Symbol.asyncDispose]()
    await until('the end', () => reader.ended || undefined)
    expect(reader.text).toMatch(/retry: \d+\n\n$/)
    expect(await socket.closed).toBe(1001)
  })
})

describe('a WebSocket', () => {
  it('tells the same as JSON messages, and refuses strangers before it opens', async () => {
    const reader = await open()
    const socket = await WebSocketReader.open(stack, { projectId: stack.demo.projectId })
    const id = await submit()
    await socket.heard('the end', isEnd(id))
    await reader.heard('the end', isEnd(id))
    // a stream that was opened a moment before may have the first of it in its snapshot
    const heard = [...socket.messages, ...reader.messages].filter(({ data }) => data?.id === id)
    const snapshots = heard.filter(({ event }) => event === 'snapshot')
    const shown = Math.max(0, ...snapshots.map(({ data }) => data!.version))
    const live = (all: readonly Message[]) =>
      all.filter(({ data }) => data?.id === id && data.version > shown)
    expect(live(socket.messages).length).toBeGreaterThan(1)
    expect(live(socket.messages)).toEqual(live(reader.messages))
    socket.close()
    reader.close()
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }
    const status = (token: string) =>
      new Promise((resolve, reject) =>
        get(
          `${stack.gatewayUrl}/api/ws?projectId=${stack.demo.projectId}&token=${token}`,
          { headers: upgrade, agent: false },
          (response) => resolve(response.resume().statusCode),
        )
          .on('upgrade', () => resolve(101))
          .on('error', reject),
      )
    const refused = (token: string) =>
      new Promise<void>((resolve) =>
        get(
          `${stack.gatewayUrl}/api/ws?projectId=${stack.demo.projectId}&token=${token}`,
          { headers: upgrade, agent: false },
          (response) => void response.resume().socket.once('close', () => resolve()),
        ),
      )
    const stranger = await stack.stranger()
    const theirs = (await stack.ask('POST', '/api/stream-tokens', { key: stranger })).body['token']
    expect([await status('nonsense'), await status(stranger)]).toEqual([401, 401])
    expect(await status(String(theirs))).toBe(404)
    await refused('nonsense') // and its connection is ended
    const elsewhere = await new Promise((resolve, reject) =>
      get(
        `${stack.gatewayUrl}/api/scene-videos`,
        { headers: { ...upgrade, authorization: `Bearer ${stack.apiKey}` }, agent: false },
        (response) => resolve(response.resume().statusCode),
      )
        .on('upgrade', () => resolve(101))
        .on('error', reject),
    )
    expect(elsewhere).toBe(400)
  })
})

describe('a reader who does not read', () => {
  it('skips intermediate progress and nothing else', async () => {
    const nc = await connect({ servers: stack.natsUrl })
    const socket = await new Promise<Socket>((resolve) => {
      const one = connectTcp(Number(new URL(stack.gatewayUrl).port), '127.0.0.1', () =>
        resolve(one),
      )
    })
    try {
      socket.write(
        `GET /api/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${stack.apiKey}\r\n\r\n`,
      )
      await new Promise((resolve) => socket.once('data', resolve))
      const watcher = await open()
      const video = (await stack.ask('GET', `/api/scene-videos/${await submit()}`))
        .body as unknown as SceneVideo
      await watcher.heard('its end', isEnd(video.id))
      socket.pause()
      const js = nc.jetstream()
      const rounds = 150
      const prompt = 'x'.repeat(100_000)
      for (let i = 1; i <= rounds; i++) {
        const event = i % 50 === 0 ? 'stored' : 'progress'
        await js.publish(
          `video.out.${event}.${video.id}`,
          JSON.stringify({ ...video, prompt, userId: stack.demo.userId, version: 1_000 + i }),
        )
      }
      await watcher.heard('the last of it', (one) => one.data?.version === 1_000 + rounds)
      let text = ''
      socket.on('data', (chunk) => (text += chunk.toString()))
      socket.resume()
      await until('the last of it', () => text.includes(`"version":${1_000 + rounds}`) || undefined)
      const heard = [...text.matchAll(/"version":(1[01]\d\d)\b/g)].map((match) => Number(match[1]))
      expect(heard).toEqual(heard.toSorted((a, b) => a - b))
      expect(heard.filter((version) => version % 50 === 0)).toEqual([1_050, 1_100, 1_150])
      expect(heard.length).toBeLessThan(rounds)
      expect(versions(watcher.messages, video.id).filter((version) => version > 1_000)).toEqual(
        Array.from({ length: rounds }, (_, i) => 1_001 + i),
      )
      watcher.close()
    } finally {
      socket.destroy()
      await nc.close()
    }
  })
})
