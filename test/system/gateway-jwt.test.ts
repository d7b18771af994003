/** Who may come in by a JWT of the configured issuer, and who is turned away by the operator. */
import { generateKeyPair, type JWTPayload } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { Issuer } from '../support/issuer.ts'
import { SseReader } from '../support/live-reader.ts'
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

describe('a JWT', () => {
  it('stands for its issuer’s user, whatever its sub looks like, made when first seen', async () => {
    const list = (key: string) => stack.ask('GET', '/api/projects', { url, key })
    // a sub that is the id of a user here is another user all the same
    const sub = stack.demo.userId
    const mine = `/api/projects/${stack.demo.projectId}`
    const victim = await stack.ask('GET', mine, { url, key: await sign({ sub }) })
    expect(victim.status).toBe(404)
    expect((await list(await sign({ sub }))).body.data).toEqual([])
    const key = await sign({ sub: 'auth0|somebody' })
    const made = await stack.ask('POST', '/api/projects', { url, key, body: { title: 'theirs' } })
    expect(made.status).toBe(201)
    const path = `/api/projects/${String(made.body['id'])}`
    const again = await sign({ sub: 'auth0|somebody' })
    expect((await stack.ask('GET', path, { url, key: again })).status).toBe(200)
    expect((await stack.ask('GET', path)).status).toBe(404)
  })

  it('stands for a user there was before where the operator linked its sub', async () => {
    await stack.keys.linkUser(stack.demo.userId, issuer.name, 'auth0|linked')
    const key = await sign({ sub: 'auth0|linked' })
    const mine = await stack.ask('GET', `/api/projects/${stack.demo.projectId}`, { url, key })
    expect(mine.status).toBe(200)
  })

  it.each([7, '', 'a\0b', 'x'.repeat(300), ['a'], '\ud800'])(
    'with the sub %j is refused with a reason',
    async (sub) => {
      const key = await sign({ sub } as unknown as JWTPayload)
      const { status, body } = await stack.ask('GET', '/api/scene-videos', { url, key })
      expect([status, body['code']]).toEqual([401, 'unauthorized'])
    },
  )

  it('may do what its scope says; where that names nothing of ours, read and write', async () => {
    const key = await sign({ sub: 'reader', scope: 'openid reelkeeper:read' })
    const post = (as: string) =>
      stack.ask('POST', '/api/projects', { url, key: as, body: { title: 'x' } })
    expect((await stack.ask('GET', '/api/scene-videos', { url, key })).status).toBe(200)
    expect((await post(key)).body['code']).toBe('insufficient_scope')
    const plain = await sign({ sub: 'none', scope: 'openid profile' })
    expect((await post(plain)).status).toBe(201)
    expect((await stack.ask('GET', '/api/api-keys', { url, key: plain })).status).toBe(403)
    const bold = await sign({ sub: 'bold', scope: 'operator' })
    expect((await stack.ask('GET', '/api/operator/videos', { url, key: bold })).status).toBe(403)
  })

  it('is refused when another signed it, for another audience or issuer, expired, without sub, or without a signature', async () => {
    const other = await generateKeyPair('ES256')
    const bad = [
      await sign({ sub: 'x' }, { key: other.privateKey }),
      await sign({ sub: 'x' }, { aud: 'other' }),
      await sign({ sub: 'x' }, { iss: 'https://evil.example' }),
      await sign({ sub: 'x' }, { exp: '-1m' }),
      await sign({}),
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ sub: 'x', iss: issuer.name, aud: 'reelkeeper', exp: 9e9 })).toString('base64url')}.`,
    ]
    for (const key of bad)
      expect((await stack.ask('GET', '/api/scene-videos', { url, key })).status).toBe(401)
    expect(
      (await stack.ask('GET', '/api/scene-videos', { key: await sign({ sub: 'x' }) })).status,
    ).toBe(401)
  })

  it('gets 503 while the issuer’s keys cannot be had', async () => {
    const lone = await stack.gateway({
      ...issuer.settings,
      JWKS_URL: 'http://127.0.0.1:1/jwks',
    })
    const { status, headers } = await stack.ask('GET', '/api/scene-videos', {
      url: lone.url,
      key: await sign({ sub: 'x' }),
    })
    expect([status, headers.get('retry-after')]).toEqual([503, '1'])
  })
})

describe('a disabled user', () => {
  it('is refused with keys, tokens and JWTs, its streams end, and nobody else’s; enabled, it is let in', async () => {
    const gateway = await stack.gateway({ ...issuer.settings, STREAM_CHECK_INTERVAL_MS: '200' })
    const ask = (key: string, path = '/api/projects') =>
      stack.ask('GET', path, { url: gateway.url, key })
    const jwt = await sign({ sub: 'auth0|dismissed' })
    await ask(jwt)
    const { id } = await stack.db.user.findFirstOrThrow({ where: { name: 'auth0|dismissed' } })
    const { apiKey } = await stack.keys.create(id, ['read'], null)
    const tokens = await Promise.all(
      [jwt, apiKey].map(async (key) => {
        const made = await stack.ask('POST', '/api/stream-tokens', { url: gateway.url, key })
        return String(made.body['token'])
      }),
    )
    const streams = await Promise.all(
      [jwt, apiKey, ...tokens].map((key) =>
        SseReader.open(stack, '/api/events', { key, url: gateway.url }),
      ),
    )
    const kept = await SseReader.open(stack, '/api/events', { url: gateway.url })
    await stack.keys.setDisabled(id, true)
    await until('its streams to end', () => streams.every((one) => one.ended) || undefined)
    expect(kept.ended).toBe(false)
    kept.close()
    for (const key of [jwt, apiKey])
      await until('refusal', async () => (await ask(key)).status === 401 || undefined)
    for (const key of tokens)
      expect((await ask(key, '/api/scene-videos')).body['code']).toBe('unauthorized')
    expect((await ask(stack.apiKey)).status).toBe(200)
    await stack.keys.setDisabled(id, false)
    for (const key of [jwt, apiKey])
      await until('to be let in', async () => (await ask(key)).status === 200 || undefined)
  })
})
