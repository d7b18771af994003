/** Links that need the account's key, and links that die and are had anew by asking. */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { encrypt, keyEncryptionKey } from '#libs/runtime/secrets.ts'
import {
  archiver,
  clip,
  completed,
  env,
  provider as elsewhere,
  startKit,
  stopArchivers,
  until,
  untilStored,
  video,
} from '../support/archiver-kit.ts'

const keyEncryption = randomBytes(32).toString('base64')
const account = () => ({
  baseUrl: url,
  keyCipher: encrypt('sk-of-the-account', keyEncryptionKey.parse(keyEncryption)),
})
/** A provider: files for whoever has the key, and for whoever asks with the newest link. */
let server: Server
let url: string
let newest = 1
let renewals = 0
const asked: { path: string; key: string | undefined }[] = []

startKit()
beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? ''
    const key = request.headers.authorization
    asked.push({ path, key })
    const hasKey = key === 'Bearer sk-of-the-account'
    const send = () => response.writeHead(200, { 'content-length': clip.length }).end(clip)
    if (path.startsWith('/keyed/')) return hasKey ? send() : response.writeHead(401).end()
    if (path.startsWith('/away/'))
      return response.writeHead(302, { location: `${elsewhere.url}/ok${path}` }).end()
    if (path.startsWith('/linked/'))
      return path.endsWith(`?n=${newest}`) ? send() : response.writeHead(403).end()
    const id = /^\/v1\/tasks\/(.+)$/.exec(path)?.[1]
    if (!id || !hasKey) return response.writeHead(404).end()
    renewals++
    const output = [`${url}/linked/${id}?n=${newest}`]
    response.setHeader('content-type', 'application/json')
    return response.end(JSON.stringify({ id, status: 'SUCCEEDED', output }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  env['TRUSTED_BASE_URLS'] = url
  env['KEY_ENCRYPTION_KEY'] = keyEncryption
})
afterAll(() => void server?.close())

it('fetches with the key what needs it, and sends it to no other host', async () => {
  const name = crypto.randomUUID()
  const more = { provider: 'openrouter', account: account() }
  const [keyed, away, other] = [
    await completed(`${url}/keyed/${name}`, more),
    await completed(`${url}/away/${name}`, more),
    await completed(`/ok/${name}`, more),
  ]
  await archiver()
  for (const id of [keyed, away, other]) await untilStored(id)
  expect(asked.filter(({ path }) => path.endsWith(name)).map(({ key }) => key)).toEqual([
    'Bearer sk-of-the-account',
    'Bearer sk-of-the-account',
  ])
  const there = elsewhere.asked.filter(({ path }) => path.endsWith(name))
  expect(there.map(({ authorization }) => authorization)).toEqual([undefined, undefined])
})

it('waits, and says what for, where it has not the key that opens the account', async () => {
  const more = { provider: 'openrouter', account: account() }
  const id = await completed(`${url}/keyed/${crypto.randomUUID()}`, more)
  await stopArchivers()
  await archiver({ KEY_ENCRYPTION_KEY: undefined })
  const { kept } = await until('it to be tried', async () => {
    const found = await video(id)
    return found.kept?.lastError ? found : null
  })
  expect(kept).toMatchObject({ state: 'waiting', lastError: expect.stringContaining('KEY_') })
  await stopArchivers()
  await archiver()
  await untilStored(id)
})

it('follows into a private network what its own trusted address leads to, and nothing else', async () => {
  const path = () => `${url}/keyed/${crypto.randomUUID()}`
  const other = { ...account(), baseUrl: 'https://elsewhere.example/v1' }
  const provider = 'openrouter'
  const own = await completed(path(), { provider, account: account() })
  const refused = [
    await completed(path(), { provider, account: other }),
    await completed(path()),
    await completed('http://127.0.0.1:9/film', { provider, account: account() }),
  ]
  await archiver()
  await untilStored(own)
  for (const id of refused) {
    const { kept } = await until('it to be tried', async () => {
      const found = await video(id)
      return found.kept?.lastError ? found : null
    })
    expect(kept).toMatchObject({ state: 'waiting', lastError: expect.stringContaining('private') })
  }
})

it('asks for a fresh link where one has died, and where one is about to', async () => {
  const more = { provider: 'runway', account: account() }
  newest = 2
  const before = renewals
  const [dead, dying] = [
    await completed(`${url}/linked/x?n=1`, more),
    await completed(`${url}/linked/x?n=1`, { ...more, expiresInMs: 5_000 }),
  ]
  await archiver()
  for (const id of [dead, dying]) await untilStored(id)
  expect(renewals - before).toBeGreaterThanOrEqual(2)
  expect((await video(dead)).kept?.url).toMatch(/\?n=2$/)
})
