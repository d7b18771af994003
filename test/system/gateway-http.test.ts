/** HTTP as such: methods, heads, request ids, encodings and sockets. */
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { operationsOf } from '../support/operations.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
let videoId = ''
beforeAll(async () => {
  await stack.start()
  videoId = String((await stack.ask('POST', `${stack.scenePath}/generate-video`)).body['id'])
})
afterAll(() => stack[Symbol.asyncDispose]())

const headers = () => ({ authorization: `Bearer ${stack.apiKey}` })
const ask = (method: string, path: string, more: Record<string, string> = {}) =>
  fetch(stack.gatewayUrl + path, {
    method,
    redirect: 'manual',
    headers: { ...headers(), ...more },
  })

describe('methods', () => {
  it('HEAD answers as GET, without a body, everywhere', async () => {
    const paths = operationsOf(stack)
      .filter(({ method, template }) => method === 'GET' && !/metrics|ws$/.test(template))
      .filter(({ template }) => !template.startsWith('/api/operator'))
      .map(({ template }) =>
        template
          .replace('{projectId}', stack.demo.projectId)
          .replace('{scriptId}', stack.demo.scriptId)
          .replace('{sceneId}', stack.demo.sceneIds[0]!)
          .replace('{id}', videoId),
      )
    expect(paths.length).toBeGreaterThan(20)
    for (const path of paths) {
      const stop = new AbortController()
      const got = await fetch(stack.gatewayUrl + path, {
        headers: headers(),
        redirect: 'manual',
        signal: stop.signal,
      })
      const head = await ask('HEAD', path)
      const type = (answer: Response) => answer.headers.get('content-type')
      expect([head.status, type(head)], path).toEqual([got.status, type(got)])
      expect(await head.text(), path).toBe('')
      stop.abort()
    }
  })

  it('that a path has not are 405, with those it has', async () => {
    for (const [method, path, allowed] of [
      ['PUT', '/api/projects', ['GET', 'HEAD', 'POST']],
      ['DELETE', '/api/me', ['GET', 'HEAD']],
      ['PATCH', `/api/scene-videos/${videoId}`, ['DELETE', 'GET', 'HEAD']],
      ['POST', '/livez', ['GET', 'HEAD']],
      ['GET', '/api/videos', ['POST']],
    ] as const) {
      const answer = await ask(method, path)
      const allow = answer.headers.get('allow')?.split(', ').toSorted()
      expect([answer.status, allow], `${method} ${path}`).toEqual([405, allowed])
      expect(await answer.json()).toMatchObject({ code: 'method_not_allowed' })
    }
    expect((await ask('GET', '/api/nothing')).status).toBe(404)
    expect((await ask('PUT', '/api/nothing')).status).toBe(404)
  })
})

it('names each request: in the answer, in the problem, as the caller named it', async () => {
  const first = await ask('GET', '/api/nothing')
  const id = first.headers.get('x-request-id')
  expect(id).toMatch(/^[0-9a-f-]{36}$/)
  expect(await first.json()).toMatchObject({ requestId: id })
  const named = await ask('GET', '/api/me', { 'x-request-id': 'abc-1' })
  expect(named.headers.get('x-request-id')).toBe('abc-1')
  const odd = await ask('GET', '/api/me', { 'x-request-id': 'a b"c' })
  expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
})

describe('bodies', () => {
  const post = (body: Buffer, encoding?: string, type = 'application/json') =>
    fetch(`${stack.gatewayUrl}/api/projects`, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: {
        ...headers(),
        'content-type': type,
        ...(encoding ? { 'content-encoding': encoding } : {}),
      },
    })
  const json = Buffer.from('{"title":"compressed"}')

  it('may be gzip; other encodings are 415, what is not gzip 400, what is too large 413', async () => {
    const made = await post(gzipSync(json), 'gzip')
    expect([made.status, await made.json()]).toMatchObject([201, { title: 'compressed' }])
    expect((await post(json, 'identity')).status).toBe(201)
    expect((await post(json, 'br')).status).toBe(415)
    expect((await post(json, 'gzip, br')).status).toBe(415)
    expect((await post(json, 'gzip')).status).toBe(400)
    // a few hundred bytes that would be hundreds of megabytes
    const bomb = gzipSync(Buffer.from(`{"title":"${'x'.repeat(50_000_000)}"}`))
    const before = process.memoryUsage().rss
    expect((await post(bomb, 'gzip')).status).toBe(413)
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000)
  })

  it('of another type are told what to send', async () => {
    const answer = await post(json, undefined, 'text/plain')
    expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([
      415,
      expect.stringContaining('application/json'),
    ])
  })
})

describe('sockets', () => {
  const port = (url: string) => Number(new URL(url).port)
  /** Never closes its own half, whatever the other side does. */
  const stubborn = (to: number, text: string) =>
    new Promise<{ socket: Socket; ended: Promise<void>; closed: () => boolean }>((resolve) => {
      let closed = false
      const ended = Promise.withResolvers<void>()
      const socket = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true }, () => {
        socket.write(text)
        resolve({ socket, ended: ended.promise, closed: () => closed })
      })
      socket.on('data', () => {})
      socket.on('end', () => ended.resolve())
      socket.on('error', () => {
        closed = true
        ended.resolve()
      })
      socket.on('close', () => (closed = true))
    })
  /** Of this process, which is the gateway and its callers at once. */
  const held = () =>
    process.getActiveResourcesInfo().filter((one) => one === 'TCPSocketWrap').length

  it('of a refused request are gone, though the caller keeps its half', async () => {
    const before = held()
    const many = await Promise.all(
      Array.from({ length: 10 }, () => stubborn(port(stack.gatewayUrl), 'GARBAGE\r\n\r\n')),
    )
    await Promise.all(many.map((one) => one.ended))
    // those of the callers are left, and none of the gateway's
    await until('the gateway’s to be gone', () => held() <= before + 10 || undefined, 10_000)
    expect(many.filter((one) => one.closed())).toEqual([])
    for (const one of many) one.socket.destroy()
  })

  it('are no more than so many, of all and of one address', async () => {
    const few = await stack.gateway({ MAX_CONNECTIONS_PER_ADDRESS: '3' })
    const trusting = await stack.gateway({
      MAX_CONNECTIONS_PER_ADDRESS: '3',
      TRUSTED_PROXIES: '127.0.0.0/8',
    })
    const total = await stack.gateway({ MAX_CONNECTIONS: '3' })
    const open = async (url: string, n: number) => {
      const sockets = await Promise.all(Array.from({ length: n }, () => stubborn(port(url), '')))
      await new Promise((resolve) => setTimeout(resolve, 300))
      const left = sockets.filter((one) => !one.closed()).length
      for (const one of sockets) one.socket.destroy()
      return left
    }
    const ended = async (url: string) => {
      const sockets = await Promise.all(Array.from({ length: 5 }, () => stubborn(port(url), '')))
      let gone = 0
      for (const one of sockets) void one.ended.then(() => gone++)
      await until('two to be refused', () => gone === 2 || undefined)
      for (const one of sockets) one.socket.destroy()
    }
    await ended(few.url)
    await ended(total.url)
    expect(await open(trusting.url, 5)).toBe(5)
    // room again
    await until(
      'room',
      async () => (await fetch(`${few.url}/livez`).catch(() => null))?.status === 200 || undefined,
    )
  })
})

describe('problems', () => {
  it('name the field and what to do', async () => {
    const { status, body } = await stack.ask('POST', `${stack.scenePath}/generate-video`, {
      body: { durationSeconds: 'long', colour: 'red' },
    })
    expect([status, body]).toEqual([
      400,
      expect.objectContaining({
        code: 'invalid_request',
        errors: expect.arrayContaining([
          expect.objectContaining({ pointer: '/durationSeconds' }),
          { pointer: '/colour', detail: 'is not known here; leave it out' },
        ]),
      }),
    ])
  })

  it.each(['prompt', 'model', 'resolution', 'metadata', 'imageUrls'])(
    'refuse NUL and half surrogates in %s',
    async (field) => {
      for (const bad of ['a\\u0000b', 'a\\ud800b']) {
        const value =
          field === 'metadata'
            ? `{"k": "${bad}"}`
            : field === 'imageUrls'
              ? `["https://example.com/${bad}"]`
              : `"${bad}"`
        const { status, body } = await stack.ask('POST', `${stack.scenePath}/generate-video`, {
          body: `{"${field}": ${value}}`,
        })
        expect([status, body['code']]).toEqual([400, 'invalid_request'])
      }
    },
  )

  it('answer 404 for what is not a route or an id, 415 for other content, 401 without a key', async () => {
    expect((await stack.ask('GET', '/api/nothing')).status).toBe(404)
    expect((await stack.ask('GET', '/api/scene-videos/1')).status).toBe(404)
    expect(
      (
        await stack.ask('POST', '/api/projects', {
          body: '<a/>',
          headers: { 'content-type': 'text/xml' },
        })
      ).status,
    ).toBe(415)
    const nobody = await stack.ask('GET', '/api/scene-videos', { key: null })
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    for (const key of ['rk_demo_wrongwrongwrongwrong', 'rk_none_wrongwrongwrongwrong', 'x.y.z'])
      expect((await stack.ask('GET', '/api/scene-videos', { key })).status).toBe(401)
  })
})
