/** What becomes of a request on its way: TLS, proxy, the private network. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { connect, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, it, onTestFinished, vi } from 'vitest'
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

it('takes no answer that is given twice for the next one’s, nor the one behind it', async () => {
  const tasks: string[] = []
  const server = createServer((incoming) => {
    const { socket } = incoming.on('error', () => {})
    incoming.resume().on('end', () => {
      // a look-up tells of the first task, a create makes one
      if (incoming.method === 'POST') tasks.push(`t${tasks.length + 1}`)
      const id = incoming.method === 'POST' ? tasks.at(-1) : tasks[0]
      const body = JSON.stringify({ id, status: 'queued' })
      const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      const say = () => socket.writable && socket.write(answer)
      // what is made takes longer than what is told a second time
      for (const ms of incoming.method === 'POST' ? [100, 120] : [0, 20]) setTimeout(say, ms)
    })
  })
  const account = { baseUrl: `http://127.0.0.1:${await listen(server)}`, apiKey: 'sk-test-key' }
  // each looks for what another one made, or for nothing yet
  await using one = createToapis({ ...options, maxConnections: 1 })
  await using other = createToapis({ ...options, maxConnections: 1 })
  const create = (n: number) => other.create(account, { ...request, ownId: `own-${n}` })
  expect(await one.create(account, { ...request, ownId: 'own-1' })).toMatchObject({ taskId: 't1' })
  const told = []
  for (let n = 2; n <= 4; n++) {
    const [, made] = await Promise.all([
      other.find(account, { ownId: 'own-1', request: null }),
      create(n),
    ])
    told.push(made)
  }
  expect(told).toMatchObject([{ taskId: 't2' }, { taskId: 't3' }, { taskId: 't4' }])
})

it('takes the id of another create for none of its own', async () => {
  const server = createServer((incoming, response) => {
    incoming.resume().on('end', () => response.end('{"id":"one"}'))
  })
  const account = { baseUrl: `http://127.0.0.1:${await listen(server)}`, apiKey: 'sk-test-key' }
  await using provider = createToapis(options)
  const kinds = []
  for (let n = 1; n <= 3; n++)
    kinds.push((await provider.create(account, { ...request, ownId: `own-${n}` })).kind)
  expect(kinds).toEqual(['accepted', 'unreadable', 'unreadable'])
})

it('keeps a connection for what is asked by its task’s id alone', async () => {
  let connections = 0
  const server = createServer((incoming, response) => {
    const id = incoming.url!.split('/').at(-1)
    incoming.resume().on('end', () => response.end(JSON.stringify({ id, status: 'queued' })))
  }).on('connection', () => connections++)
  const account = { baseUrl: `http://127.0.0.1:${await listen(server)}`, apiKey: 'sk-test-key' }
  await using provider = createToapis({ ...options, maxConnections: 1 })
  for (let n = 1; n <= 3; n++) await provider.get(account, `t${n}`)
  expect(connections).toBe(1)
  for (let n = 1; n <= 3; n++) await provider.create(account, { ...request, ownId: `own-${n}` })
  expect(connections).toBe(4)
})

it('takes no end that names no task and is given twice for the next one’s', async () => {
  let asked = 0
  const server = createServer((incoming) => {
    asked++
    const { socket } = incoming.on('error', () => {})
    const id = incoming.url!.split('/').at(-1)
    const failed = { status: 'failed', error: { message: 'no reason' } }
    const body = JSON.stringify(id === 'failed' ? failed : { id, status: 'queued' })
    const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    const say = () => socket.writable && socket.write(answer)
    incoming.resume().on('end', () => {
      // what works on is told later than the end is told again
      if (id === 'failed') for (const ms of [0, 20]) setTimeout(say, ms)
      else setTimeout(say, 100)
    })
  })
  const account = { baseUrl: `http://127.0.0.1:${await listen(server)}`, apiKey: 'sk-test-key' }
  await using provider = createToapis({ ...options, maxConnections: 1 })
  let allowed = 0
  const mayWrite = () => ++allowed > 0
  const [ended, working] = await Promise.all(
    ['failed', 'working'].map((id) => provider.get(account, id, { mayWrite })),
  )
  expect(ended).toMatchObject({ answer: { kind: 'failed' } })
  expect(working).toMatchObject({ answer: { kind: 'working' } })
  // whoever counts queries is asked before each of them
  expect(asked).toBeGreaterThan(2)
  expect(allowed).toBe(asked)
})

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

/** Answers with so many bytes of JSON, at once or never to its end, packed or not. */
async function startLarge(bytes: number, { isPacked = false, hangs = false } = {}) {
  const answer = Buffer.from(JSON.stringify({ id: 't', status: 'queued', more: 'x'.repeat(bytes) }))
  const body = isPacked ? gzipSync(answer) : answer
  let asked = 0
  const server = createServer((_, response) => {
    asked++
    response.writeHead(200, isPacked ? { 'content-encoding': 'gzip' } : {})
    if (hangs) response.write(body)
    else response.end(body)
  })
  const baseUrl = `http://127.0.0.1:${await listen(server)}`
  onTestFinished(() => server.closeAllConnections())
  return { account: { baseUrl, apiKey: 'sk-test-key' }, asked: () => asked }
}

it.each([[false], [true]])('reads a large answer, packed: %s', async (isPacked) => {
  const { account } = await startLarge(1_000_000, { isPacked })
  await using provider = createToapis(options)
  const answers = await Promise.all([1, 2, 3].map(() => provider.get(account, 't')))
  expect(answers.map(({ answer }) => answer.kind)).toEqual(['working', 'working', 'working'])
})

it.each([[false], [true]])(
  'reads large answers of others, packed: %s, while one never ends',
  async (isPacked) => {
    const hanging = await startLarge(1_000_000, { hangs: true })
    const other = await startLarge(1_000_000, { isPacked })
    const small = await startLarge(10, { isPacked })
    await using provider = createToapis({ ...options, getTimeoutMs: 4_000 })
    const kindOf = async ({ account }: typeof other) =>
      (await provider.get(account, 't')).answer.kind
    const hung = [1, 2, 3].map(() => kindOf(hanging))
    await vi.waitFor(() => expect(hanging.asked()).toBe(3), { timeout: 20_000 })
    const read = await Promise.race([Promise.all([kindOf(other), kindOf(small)]), ...hung])
    expect(read).toEqual(['working', 'working'])
    expect(await Promise.all(hung)).toEqual(['none', 'none', 'none'])
    expect(await kindOf(other)).toBe('working')
  },
)

it('has one large answer in hand, however many come at once', async () => {
  const { account } = await startLarge(8_000_000, { isPacked: true })
  await using provider = createToapis({ ...options, getTimeoutMs: 3_000 })
  const before = process.memoryUsage().external
  let most = 0
  const look = setInterval(() => (most = Math.max(most, process.memoryUsage().external)), 1)
  onTestFinished(() => clearInterval(look))
  const answers = await Promise.all(Array.from({ length: 100 }, () => provider.get(account, 't')))
  expect(answers.some(({ answer }) => answer.kind === 'working')).toBe(true)
  expect((most - before) / 1_048_576).toBeLessThan(200)
})
