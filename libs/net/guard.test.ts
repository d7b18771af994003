import { createServer, type Server } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { guardedConnector, isForbiddenHost } from './guard.ts'
import { createToapis } from '../../test/support/toapis.ts'

let server: Server
let port = 0
let hits = 0
beforeAll(async () => {
  server = createServer((_request, response) => {
    hits++
    response
      .writeHead(404, { 'content-type': 'application/json' })
      .end('{"error":{"code":"task_not_found","message":"no"}}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(() => server.close())

const answering =
  (...addresses: string[]): LookupFunction =>
  (_name, options, callback) => {
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (options.all) callback(null, all)
    else callback(null, all[0]!.address, all[0]!.family)
  }
async function ask(url: string, lookup?: LookupFunction): Promise<string> {
  const agent = new Agent({ connect: guardedConnector(1_000, lookup) })
  try {
    return String((await request(url, { dispatcher: agent })).statusCode)
  } catch (err) {
    return (err as { code?: string }).code ?? (err as Error).message
  } finally {
    await agent.destroy()
  }
}

describe('the guard', () => {
  it.each([
    'http://127.0.0.1:PORT/',
    'https://127.0.0.1:PORT/',
    'http://localhost:PORT/',
    'http://[::1]:PORT/',
    'http://[::ffff:127.0.0.1]:PORT/',
    'http://2130706433:PORT/',
    'http://0x7f.1:PORT/',
    'http://0.0.0.0:PORT/',
    'http://10.0.0.1/',
    'https://169.254.169.254/',
    'http://[fd00::1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[::7f00:1]:PORT/',
  ])('lets nobody to %s', async (url) => {
    const before = hits
    expect(await ask(url.replace('PORT', String(port)))).toBe('ERR_IP_BLOCKED')
    expect(hits).toBe(before)
  })

  it.each([['http'], ['https']])(
    'judges the address a name has at the moment of connecting, over %s',
    async (scheme) => {
      expect(await ask(`${scheme}://rebound.example:${port}/`, answering('127.0.0.1'))).toBe(
        'ERR_IP_BLOCKED',
      )
      expect(
        await ask(
          `${scheme}://rebound.example:${port}/`,
          answering('::1', '127.0.0.1', '10.1.1.1'),
        ),
      ).toBe('ERR_IP_BLOCKED')
    },
  )

  it('knows such hosts by sight', () => {
    expect(
      [
        '127.0.0.1',
        '[::1]',
        'localhost',
        'x.localhost',
        '192.168.1.1',
        '[::ffff:10.0.0.1]',
        '[::7f00:1]',
        'localhost.',
        '10.0.0.1.',
      ].filter(isForbiddenHost),
    ).toHaveLength(9)
    expect(
      ['example.com', '8.8.8.8', '[2606:4700::1111]', 'toapis.com'].filter(isForbiddenHost),
    ).toEqual([])
  })
})

describe('toapis', () => {
  const account = () => ({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: 'sk-x' })

  it('refuses to create at a private address, for good, and gets no answer from it', async () => {
    await using provider = createToapis({
      createTimeoutMs: 1_000,
      getTimeoutMs: 1_000,
      trustedBaseUrls: ['http://127.0.0.1:1/v1'],
    })
    expect(
      await provider.create(account(), { ownId: 'a-1', model: 'm', prompt: 'p' }),
    ).toMatchObject({ kind: 'refused', error: { code: 'invalid_request' } })
    expect((await provider.get(account(), 'x')).answer).toEqual({
      kind: 'none',
      reason: 'ERR_IP_BLOCKED',
    })
  })

  it('goes to the operator’s own address wherever it is, and anywhere when told so', async () => {
    await using own = createToapis({
      createTimeoutMs: 1_000,
      getTimeoutMs: 1_000,
      trustedBaseUrls: [account().baseUrl],
    })
    await using open = createToapis({
      createTimeoutMs: 1_000,
      getTimeoutMs: 1_000,
      allowPrivate: true,
    })
    for (const provider of [own, open])
      expect((await provider.get(account(), 'x')).answer).toEqual({ kind: 'missing' })
  })
})
