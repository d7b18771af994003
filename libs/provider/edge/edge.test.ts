/** What becomes of a request on its way: TLS, proxy, the private network. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { connect, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createToapis } from '../../../test/support/toapis.ts'

const request = { ownId: 'own-1', model: 'm', prompt: 'p' }
const options = { createTimeoutMs: 5_000, getTimeoutMs: 5_000, allowPrivate: true }

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** A certificate that nobody has signed, for 127.0.0.1. */
function certificate() {
  const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-ca-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const [key, ca] = [join(dir, 'key.pem'), join(dir, 'ca.pem')]
  const made = spawnSync('openssl', [
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1'.split(' '),
    '-subj',
    '/CN=provider',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
    '-keyout',
    key,
    '-out',
    ca,
  ])
  expect(made.status).toBe(0)
  return { key: readFileSync(key), cert: readFileSync(ca), ca }
}

it('sends nothing where the certificate is not trusted, and says why; with its authority it sends', async () => {
  const { key, cert, ca } = certificate()
  let asked = 0
  const server = createSecure({ key, cert }, (incoming, response) => {
    asked++
    incoming.resume().on('end', () => response.end('{"id":"t"}'))
  })
  const account = { baseUrl: `https://127.0.0.1:${await listen(server)}/v1`, apiKey: 'sk-test-key' }
  await using without = createToapis(options)
  await using withCa = createToapis({ ...options, ca })
  await using guarded = createToapis({ ...options, ca, allowPrivate: false })
  expect(await without.create(account, request)).toMatchObject({
    kind: 'refused',
    error: { code: 'invalid_request', message: expect.stringContaining('SELF_SIGNED') },
  })
  expect(await guarded.create(account, request)).toMatchObject({ kind: 'refused' })
  expect(asked).toBe(0)
  expect(await withCa.create(account, request)).toEqual({ kind: 'accepted', taskId: 't' })
})

it('goes through the proxy to a provider, and past it to loopback and to what is excepted', async () => {
  const through: string[] = []
  const proxy = createServer((incoming, response) => {
    through.push(incoming.url!)
    incoming.resume()
    response.end('{"id":"by-proxy"}')
  })
  proxy.on('connect', (incoming, socket) => {
    through.push(incoming.url!)
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  const provider = createServer((incoming, response) => {
    incoming.resume().on('end', () => response.end('{"id":"t"}'))
  })
  const port = await listen(provider)
  const url = `http://127.0.0.1:${await listen(proxy)}`
  const create = async (baseUrl: string) => {
    await using adapter = createToapis({
      ...options,
      proxy: { url, except: ['.excepted.example'] },
    })
    return await adapter.create({ baseUrl, apiKey: 'sk-test-key' }, request)
  }
  expect(await create('http://provider.example/v1')).toMatchObject({ kind: 'accepted' })
  expect(through).toHaveLength(1)
  expect(through[0]).toContain('provider.example')
  expect(await create(`http://127.0.0.1:${port}/v1`)).toEqual({ kind: 'accepted', taskId: 't' })
  expect(await create('http://a.excepted.example/v1')).toMatchObject({ kind: 'later' })
  expect(through).toHaveLength(1)
})

it('lets no user’s address into a private network by way of a proxy', async () => {
  await using adapter = createToapis({
    ...options,
    allowPrivate: false,
    proxy: { url: 'http://127.0.0.1:1', except: [] },
  })
  const account = { baseUrl: 'http://10.0.0.1/v1', apiKey: 'sk-test-key' }
  expect(await adapter.create(account, request)).toMatchObject({
    kind: 'refused',
    error: { message: expect.stringContaining('private network') },
  })
})
