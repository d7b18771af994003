/** Keys, stream tokens, and streams that outlive their key. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '#services/dev/servers/ports.ts'
import { Stack } from '../support/gateway-kit.ts'
import { Issuer } from '../support/issuer.ts'
import { SseReader, WebSocketReader } from '../support/live-reader.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
const issuer = new Issuer()
let url = ''
const sign = issuer.sign.bind(issuer)
beforeAll(async () => {
  await issuer.start()
  await stack.start()
  url = (await stack.gateway(issuer.settings)).url
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

describe('a key', () => {
  it('is listed while it is valid, and for a while once it is revoked', async () => {
    const user = await stack.keys.createUser('rotates')
    const { apiKey } = await stack.keys.create(user.id, ['admin'], null)
    await stack.db.$executeRaw`
      INSERT INTO "ApiKey" (id, "userId", "secretHash", "revokedAt")
      SELECT 'revoked' || n, ${user.id}::uuid, '', now() - n * interval '1 minute' FROM generate_series(1, 300) n`
    const { body } = await stack.ask('GET', '/api/api-keys', { key: apiKey })
    const ids = (body.data as unknown as { id: string }[]).map(({ id }) => id)
    expect(ids.length).toBe(101)
    expect(ids).toEqual(expect.arrayContaining([apiKey.split('_')[1], 'revoked1', 'revoked100']))
  })

  it('comes with its scopes, and works until it is revoked', async () => {
    const made = await stack.ask('POST', '/api/api-keys', {
      body: { name: 'ci', scopes: ['read'] },
    })
    expect(made.status).toBe(201)
    const key = String(made.body['apiKey'])
    expect((await stack.ask('GET', '/api/scene-videos', { key })).status).toBe(200)
    expect((await stack.ask('POST', `${stack.scenePath}/generate-video`, { key })).status).toBe(403)
    const listed = await stack.ask('GET', '/api/api-keys')
    expect(JSON.stringify(listed.body)).toContain(String(made.body['id']))
    expect(JSON.stringify(listed.body)).not.toContain(key.slice(key.indexOf('_', 3) + 1))
    expect((await stack.ask('DELETE', `/api/api-keys/${String(made.body['id'])}`)).status).toBe(204)
    expect((await stack.ask('GET', '/api/scene-videos', { key })).status).toBe(401)
  })
})

describe('a stream token', () => {
  it('opens streams and files by ?token=, on every gateway, and nothing else', async () => {
    const { status, body } = await stack.ask('POST', '/api/stream-tokens', {
      body: { expiresInSeconds: 60 },
    })
    const token = String(body['token'])
    expect(status).toBe(201)
    expect(Date.parse(String(body['expiresAt'])) - Date.now()).toBeLessThan(61_000)
    for (const gateway of [stack.gatewayUrl, url]) {
      const stream = await fetch(`${gateway}/api/events?token=${token}`)
      expect([stream.status, stream.headers.get('content-type')]).toEqual([
        200,
        'text/event-stream',
      ])
      await stream.body!.cancel()
    }
    // what it may watch it may also read, so that a reader without streams can ask
    for (const path of ['/api/scene-videos', `/api/projects/${stack.demo.projectId}`]) {
      expect((await stack.ask('GET', `${path}?token=${token}`, { key: null })).status).toBe(200)
      expect((await stack.ask('GET', path, { key: token })).status).toBe(200)
    }
    for (const [method, path] of [
      ['GET', '/api/me'],
      ['GET', '/api/projects'],
      ['POST', '/api/projects'],
      ['POST', '/api/stream-tokens'],
      ['GET', `/api/projects/${stack.demo.projectId}/ai-config`],
    ] as const) {
      expect((await stack.ask(method, path, { key: token })).status, path).toBe(401)
      const asked = await stack.ask(method, `${path}?token=${token}`, { key: null })
      expect(asked.status, path).toBe(401)
    }
    // a key does not belong into an address
    const withKey = await stack.ask('GET', `/api/events?token=${stack.apiKey}`, { key: null })
    expect([withKey.status, withKey.body['detail']]).toEqual([
      401,
      expect.stringContaining('stream-tokens'),
    ])
    const tampered = token.replace(
      /\.[^.]+\./,
      `.${Buffer.from(JSON.stringify({ sub: stack.demo.userId, aud: 'reelkeeper:stream', exp: 9e9 })).toString('base64url')}.`,
    )
    expect((await stack.ask('GET', `/api/events?token=${tampered}`, { key: null })).status).toBe(
      401,
    )
  })

  it('outlives a rotation of the keys that sign', async () => {
    const token = String((await stack.ask('POST', '/api/stream-tokens')).body['token'])
    const rotated = await stack.gateway({
      STREAM_TOKEN_KEY: `${Buffer.alloc(32, 7).toString('base64')},${stack.streamTokenKey}`,
    })
    const stream = await fetch(`${rotated.url}/api/events?token=${token}`)
    expect(stream.status).toBe(200)
    await stream.body!.cancel()
  })
})

/** A key, and every kind of stream opened by it or by a token made with it. */
const opened = async (gateway: string) => {
  const { id, apiKey: key } = await stack.keys.create(stack.demo.userId, ['read'], null)
  const token = String(
    (await stack.ask('POST', '/api/stream-tokens', { key, url: gateway })).body['token'],
  )
  const streams = [
    await SseReader.open(stack, '/api/events', { key, url: gateway }),
    await SseReader.open(stack, `/api/events?token=${token}`, { key: null, url: gateway }),
    await WebSocketReader.open(stack, { token: key, url: gateway }),
    await WebSocketReader.open(stack, { token, url: gateway }),
  ]
  return { id, token, streams }
}
const areEnded = (streams: { ended: boolean }[]) =>
  until('all of them to end', () => streams.every((one) => one.ended) || undefined)

describe('an open stream', () => {
  it('ends when its key is revoked: at once on the gateway that is asked to, on others when they look', async () => {
    const other = await stack.gateway({ STREAM_CHECK_INTERVAL_MS: '200' })
    const kept = await opened(other.url)
    const [here, there, last] = [
      await opened(stack.gatewayUrl),
      await opened(other.url),
      await opened(stack.gatewayUrl),
    ]
    for (const { id } of [here, there])
      expect((await stack.ask('DELETE', `/api/api-keys/${id}`)).status).toBe(204)
    await areEnded([...here.streams, ...there.streams])
    expect([...kept.streams, ...last.streams].filter((one) => one.ended)).toEqual([])
    expect((there.streams[0] as SseReader).text).toMatch(/retry: \d+\n\n$/)
    expect((await stack.ask('GET', `/api/events?token=${here.token}`, { key: null })).status).toBe(
      401,
    )
    for (const { streams } of [kept, last]) for (const one of streams) one.close()
  })

  it('ends when its JWT has expired, however it was shown', async () => {
    const gateway = await stack.gateway({ ...issuer.settings, STREAM_CHECK_INTERVAL_MS: '200' })
    const key = await sign({ sub: stack.demo.userId }, { exp: '2s' })
    const token = String(
      (await stack.ask('POST', '/api/stream-tokens', { key, url: gateway.url })).body['token'],
    )
    await areEnded([
      await SseReader.open(stack, '/api/events', { key, url: gateway.url }),
      await WebSocketReader.open(stack, { token, url: gateway.url }),
    ])
  })

  it('is forgotten when its reader leaves, also before it was answered', async () => {
    const healthPort = await freePort()
    const gateway = await stack.gateway({ HEALTH_PORT: String(healthPort) })
    const open = async () =>
      Number(
        /^reelkeeper_open_streams (\d+)$/m.exec(
          await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text(),
        )![1],
      )
    const stays = await SseReader.open(stack, '/api/events', { url: gateway.url })
    expect(await open()).toBe(1)
    for (let i = 0; i < 200; i++) {
      await new Promise<void>((resolve) => {
        const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1', () =>
          socket.write(
            `GET /api/events?projectId=${stack.demo.projectId} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${stack.apiKey}\r\n\r\n`,
            () => setTimeout(() => resolve(void socket.destroy()), i % 5),
          ),
        )
      })
    }
    await until(
      'only one to be left',
      async () => ((await open()) === 1 ? true : undefined),
      10_000,
    )
    stays.close()
  })
})

describe('a narrow token', () => {
  it('reads one project or one video, and nothing beside it', async () => {
    const inDemo = (await stack.ask('POST', `${stack.scenePath}/generate-video`)).body['id']
    const other = (await stack.ask('POST', '/api/videos', { body: { prompt: 'other' } })).body
    const { projectId } = stack.demo
    const stranger = await stack.stranger()
    const token = async (body: object, key = stack.apiKey) =>
      stack.ask('POST', '/api/stream-tokens', { body, key })
    const [ofProject, ofVideo] = [
      String((await token({ projectId })).body['token']),
      String((await token({ videoId: inDemo })).body['token']),
    ]
    const status = async (path: string, as: string) => {
      const stop = new AbortController()
      const answer = await fetch(stack.gatewayUrl + path, {
        headers: { authorization: `Bearer ${as}` },
        redirect: 'manual',
        signal: stop.signal,
      })
      stop.abort()
      return answer.status
    }
    const otherId = String(other['id'])
    for (const [path, byProject, byVideo] of [
      [`/api/scene-videos/${String(inDemo)}`, 200, 200],
      [`/api/scene-videos/${String(inDemo)}/events`, 200, 200],
      [`/api/scene-videos/${otherId}`, 404, 404],
      [`/api/scene-videos/${otherId}/events`, 404, 404],
      [`/api/scene-videos/${otherId}/file`, 404, 404],
      [`/api/projects/${projectId}`, 200, 404],
      [`/api/projects/${String(other['projectId'])}`, 404, 404],
      [`/api/events?projectId=${projectId}`, 200, 200],
      [`/api/events?projectId=${String(other['projectId'])}`, 404, 404],
      ['/api/events', 200, 200],
    ] as const)
      expect([await status(path, ofProject), await status(path, ofVideo)], path).toEqual([
        byProject,
        byVideo,
      ])
    const idsOf = async (as: string, query = '') =>
      (
        (await stack.ask('GET', `/api/scene-videos${query}`, { key: as })).body.data as unknown as {
          id: string
        }[]
      ).map((one) => one.id)
    const inProject = await idsOf(ofProject)
    expect([inProject[0], inProject.includes(otherId)]).toEqual([inDemo, false])
    expect(await idsOf(ofVideo)).toEqual([inDemo])
    expect(await idsOf(ofProject, `?projectId=${String(other['projectId'])}`)).toEqual([])
    expect((await token({ projectId }, stranger)).status).toBe(404)
    expect((await token({ videoId: inDemo }, stranger)).status).toBe(404)
    // what it opened tells of that and of nothing else
    const reader = await SseReader.open(stack, `/api/events?token=${ofProject}`, { key: null })
    await stack.ask('POST', '/api/videos', { body: { prompt: 'elsewhere' } })
    const seen = (await stack.ask('POST', `${stack.scenePath}/generate-video`)).body['id']
    await reader.heard('its own event', ({ data }) => data?.id === seen)
    expect(reader.messages.filter(({ data }) => data && data.projectId !== projectId)).toEqual([])
    reader.close()
  })
})
