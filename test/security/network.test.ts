/**
 * A whole system as `npm start` runs it, and somebody who has no more than its port: who sends
 * slowly, too much, or what is no HTTP, takes all streams, or forges webhooks.
 */
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'

const system = new System({ MAX_STREAMS: '12', MAX_STREAMS_PER_TOKEN: '2' })
beforeAll(() => system.start())
afterAll(() => system[Symbol.asyncDispose]())

interface Held {
  socket: Socket
  heard: string
  closed: boolean
}
/** Never closes its own half, whatever the other side does. */
const stubborn = (text: string) =>
  new Promise<Held>((resolve) => {
    const port = Number(new URL(system.dev.gatewayUrl).port)
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const held: Held = { socket, heard: '', closed: false }
    socket.on('connect', () => socket.write(text, () => resolve(held)))
    socket.on('data', (chunk: Buffer) => (held.heard += chunk.toString()))
    for (const gone of ['end', 'error', 'close']) socket.on(gone, () => (held.closed = true))
  })
const isAlive = async () => (await fetch(`${system.dev.gatewayUrl}/livez`)).status === 200

it('who sends half a head is closed; others are served meanwhile', async () => {
  const head = 'POST /api/videos HTTP/1.1\r\nhost: x\r\n'
  const slow = await Promise.all(Array.from({ length: 40 }, () => stubborn(head)))
  expect(await isAlive()).toBe(true)
  await until('the heads to be given up', () => slow.every((one) => one.closed) || undefined)
  expect(new Set(slow.map((one) => one.heard.slice(0, 12)))).toEqual(new Set(['HTTP/1.1 408']))
  expect(await isAlive()).toBe(true)
  for (const { socket } of slow) socket.destroy()
})

const get = 'GET / HTTP/1.1\r\nhost: x\r\n'
it.each([
  ['no request at all', 'GARBAGE\r\n\r\n'],
  ['a length beside chunks', `${get}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`],
  ['two lengths', `${get}content-length: 1\r\ncontent-length: 2\r\n\r\n`],
  ['bare line feeds', 'GET / HTTP/1.1\nhost: x\n\n'],
  ['a space before a colon', 'GET / HTTP/1.1\r\nhost : x\r\n\r\n'],
  ['20 kB of headers', `${get}x: ${'x'.repeat(20_000)}\r\n\r\n`],
])('who sends %s is answered 4xx and closed', async (_what, text) => {
  const held = await stubborn(text)
  await until('it to be closed', () => held.closed || undefined)
  expect(held.heard).toMatch(/^HTTP\/1\.1 4\d\d /)
  held.socket.destroy()
})

it('who sends a body that is large once it is unpacked gets 413', async () => {
  const response = await fetch(`${system.dev.gatewayUrl}/api/videos`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${system.dev.apiKey}`,
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    },
    body: gzipSync(Buffer.alloc(200_000_000, 32)),
  })
  expect(response.status).toBe(413)
  expect(await isAlive()).toBe(true)
})

it('who takes all streams takes a share', async () => {
  const { apiKey, gatewayUrl } = system.dev
  const token = String((await system.api('POST', '/api/stream-tokens')).body['token'])
  const opened: Response[] = []
  const open = async (given: string) => {
    const headers = { authorization: `Bearer ${given}` }
    const response = await fetch(`${gatewayUrl}/api/events`, { headers })
    opened.push(response)
    return response.status
  }
  const byToken = [await open(token), await open(token), await open(token)]
  expect(byToken).toEqual([200, 200, 429])
  const byUser = []
  for (let i = 0; i < 6; i++) byUser.push(await open(apiKey))
  expect(byUser).toEqual([200, 200, 200, 200, 429, 429])
  for (const response of opened) await response.body?.cancel()
})

it('who has no secret forges no webhook, whoever it is about', async () => {
  const id = await system.submit()
  for (const path of ['/webhooks/toapis', `/webhooks/toapis/${id}`])
    for (const signature of [undefined, '', 'v1,AAAA', 'sha256=00'])
      for (const name of ['webhook-signature', 'x-toapis-signature', 'x-signature']) {
        const response = await fetch(system.dev.gatewayUrl + path, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'webhook-id': 'x',
            'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
            ...(signature === undefined ? {} : { [name]: signature }),
          },
          body: '{"status":"completed"}',
        })
        expect(response.status).toBe(401)
      }
})

it('a page of another origin reads nothing', async () => {
  const response = await fetch(`${system.dev.gatewayUrl}/api/me`, {
    headers: { origin: 'https://evil.example', authorization: `Bearer ${system.dev.apiKey}` },
  })
  expect(response.headers.get('access-control-allow-origin')).toBeNull()
})
