/** Live streams through what others put in between: nothing is held back, nothing transformed. */
import compression from 'compression'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { findIntermediary, intermediaries, startIntermediary } from '../support/intermediaries.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-proxies-'))
beforeAll(() => stack.start())
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

const headers = () => ({ authorization: `Bearer ${stack.apiKey}` })
const compressed = () => ({ ...headers(), 'accept-encoding': 'gzip' })

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

/**
 * Opens a stream there: its snapshot comes, and a live event while it stays open. In milliseconds:
 * until the snapshot, and from the event's submission until it is heard.
 */
async function streamsThrough(url: string): Promise<{ snapshotMs: number; eventMs: number }> {
  await stack.ask('POST', '/api/videos', { body: { prompt: 'for the snapshot' } })
  const stop = new AbortController()
  try {
    const opened = performance.now()
    const answer = await fetch(`${url}/api/events`, { headers: compressed(), signal: stop.signal })
    expect(answer.headers.get('content-encoding')).toBe('identity')
    expect(answer.headers.get('cache-control')).toContain('no-transform')
    let text = ''
    const heard = async (part: string) => {
      const end = performance.now() + 60_000
      while (!text.includes(part) && performance.now() < end) await sleep(1)
      expect(text).toContain(part)
      return performance.now()
    }
    void (async () => {
      const decoder = new TextDecoder()
      for await (const chunk of answer.body!) text += decoder.decode(chunk, { stream: true })
    })().catch(() => {})
    const snapshotMs = (await heard('event: snapshot')) - opened
    const asked = performance.now()
    const { body } = await stack.ask('POST', '/api/videos', { body: { prompt: 'live' } })
    return { snapshotMs, eventMs: (await heard(String(body['id']))) - asked }
  } finally {
    stop.abort()
  }
}

it('a stream comes without anything in between', async () => {
  const times = await streamsThrough(stack.gatewayUrl)
  if (process.env['MEASURE']) console.info('nothing', times)
})

it('a stream comes through the npm package compression as it is, at once', async () => {
  const { server, url } = await compressing()
  try {
    const times = await streamsThrough(url)
    if (process.env['MEASURE']) console.info('compression', times)
    // other answers are compressed by it as ever
    const list = await fetch(`${url}/api/scene-videos`, { headers: compressed() })
    expect([list.status, list.headers.get('content-encoding')]).toEqual([200, 'gzip'])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

it.for(Object.keys(intermediaries))(
  'a stream comes through %s as it is, at once',
  async (name, { skip }) => {
    const one = intermediaries[name]!
    const binary = await findIntermediary(one, join(dir, `${name}-package`))
    if (binary === null) return skip(`${name} is neither installed nor to be had by apt`)
    await using server = await startIntermediary(one, {
      binary,
      dir: join(dir, name),
      gatewayUrl: stack.gatewayUrl,
    })
    const times = await streamsThrough(server.url)
    if (process.env['MEASURE']) console.info(name, times)
  },
)

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
