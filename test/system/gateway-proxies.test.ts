/** Live streams through what others put in between: nothing is held back, nothing transformed. */
import compression from 'compression'
import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

const headers = () => ({ authorization: `Bearer ${stack.apiKey}` })

/** A proxy that compresses as Express and Next.js do. */
async function compressing(): Promise<{ server: Server; url: string }> {
  const compress = compression()
  const target = new URL(stack.gatewayUrl)
  const server = createServer((request, response) => {
    compress(request as never, response as never, () => {
      request.pipe(
        httpRequest(
          {
            host: target.hostname,
            port: target.port,
            path: request.url,
            headers: request.headers,
          },
          (answer) => {
            response.writeHead(answer.statusCode!, answer.headers)
            answer.pipe(response)
          },
        ),
      )
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

it('a stream comes through the npm package compression as it is, at once', async () => {
  const { server, url } = await compressing()
  await stack.ask('POST', '/api/videos', { body: { prompt: 'for the snapshot' } })
  const stop = new AbortController()
  try {
    const answer = await fetch(`${url}/api/events`, {
      headers: { ...headers(), 'accept-encoding': 'gzip' },
      signal: stop.signal,
    })
    expect(answer.headers.get('content-encoding')).toBeNull()
    expect(answer.headers.get('cache-control')).toContain('no-transform')
    let text = ''
    void (async () => {
      const decoder = new TextDecoder()
      for await (const chunk of answer.body!) text += decoder.decode(chunk)
    })().catch(() => {})
    await until('the snapshot', () => text.includes('event: snapshot') || undefined)
    const { body } = await stack.ask('POST', '/api/videos', { body: { prompt: 'live' } })
    await until('its event', () => text.includes(String(body['id'])) || undefined)
    // other answers are compressed by it as ever
    const list = await fetch(`${url}/api/scene-videos`, {
      headers: { ...headers(), 'accept-encoding': 'gzip' },
    })
    expect(list.status).toBe(200)
  } finally {
    stop.abort()
    server.closeAllConnections()
    server.close()
  }
})

it('a stream says something at once, and again, before there is anything to tell', async () => {
  const key = await stack.stranger()
  const answer = await fetch(`${stack.gatewayUrl}/api/events`, {
    headers: { authorization: `Bearer ${key}` },
  })
  const reader = answer.body!.getReader()
  let text = ''
  await until('two comments', async () => {
    text += new TextDecoder().decode((await reader.read()).value)
    return text.split('\n:').length > 2 || undefined
  })
  expect(text.length).toBeGreaterThan(2_048)
  await reader.cancel()
})
