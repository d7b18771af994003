/** A kept file before a thousand readers at once, and readers who stop to read. */
import { hash, randomBytes } from 'node:crypto'
import { readdirSync, readlinkSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openFileStore } from '#libs/files/settings.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const film = randomBytes(24 * 1024 * 1024)
const sha256 = hash('sha256', film)
const stack = new Stack()
let path = ''

beforeAll(async () => {
  await stack.start()
  const made = await stack.ask('POST', `${stack.scenePath}/generate-video`, {
    body: { prompt: 'a' },
  })
  const id = String(made.body['id'])
  path = `/api/scene-videos/${id}/file`
  const files = await openFileStore(readConfig(archiverSettings, stack.env))
  const type = 'video/mp4'
  await files.put('film', Readable.from([film], { objectMode: false }), { type })
  await until('it is sent', async () => {
    const { body } = await stack.ask('GET', `/api/scene-videos/${id}`)
    return body['phase'] === 'submitted' || undefined
  })
  const storedAt = new Date()
  const file = { state: 'stored', bytes: film.length, sha256, type, storedAt }
  await stack.db.sceneVideo.update({
    where: { id },
    data: { status: 'completed', phase: 'stored', completedAt: storedAt, file },
  })
  const { userId } = stack.demo
  await stack.db.file.create({
    data: { videoId: id, userId, url: 'http://x.invalid', state: 'stored', key: 'film', storedAt },
  })
})
afterAll(() => stack[Symbol.asyncDispose]())

const head = () =>
  `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${stack.apiKey}\r\n\r\n`

/** Reads no further than the kernel does. */
async function openReader(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.write(head())
  await new Promise<void>((resolve, reject) => {
    socket.once('readable', resolve).once('close', () => reject(new Error('closed')))
  })
  return socket
}

it('is read by a thousand at once, and no more than some blocks of each are in memory', async () => {
  const held = () => process.memoryUsage().arrayBuffers
  const before = held()
  const readers: Socket[] = []
  for (let n = 0; n < 20; n++)
    readers.push(
      ...(await Promise.all(Array.from({ length: 50 }, () => openReader(stack.gatewayUrl)))),
    )
  // of 24 GB; a block is 64 KiB, and the readers of this process hold one each, too
  expect(held() - before).toBeLessThan(1_000 * 256 * 1024)
  expect((await stack.ask('GET', '/api/projects')).status).toBe(200)
  const whole = await fetch(stack.gatewayUrl + path, {
    headers: { authorization: `Bearer ${stack.apiKey}` },
  })
  expect(hash('sha256', Buffer.from(await whole.arrayBuffer()))).toBe(sha256)
  let bytes = 0
  const some = readers.splice(0, 5)
  for (const reader of some) reader.on('data', (chunk: Buffer) => (bytes += chunk.length))
  await until('five of them have it', async () => bytes > 5 * film.length || undefined)
  for (const reader of [...some, ...readers]) reader.destroy()
})

/** How often the film is open, in the gateway of this process. */
const open = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).endsWith('/film')
    } catch {
      return false
    }
  }).length

it('leaves a reader who takes nothing for long, and not one who reads slowly', async () => {
  await until('the readers before have left', async () => open() === 0 || undefined)
  const { url } = await stack.gateway({ FILE_READER_STALL_MS: '2000' })
  const [stalled, slow] = [await openReader(url), await openReader(url)]
  let taken = 0
  // within the 2 s more than a third of what the kernel holds, which lets no write go on before
  const reading = setInterval(() => (taken += slow.read()?.length ?? 0), 50)
  await until('both read', async () => open() === 2 || undefined)
  await until('one is left', async () => open() === 1 || undefined, 20_000)
  const before = taken
  await until('the other goes on', async () => taken > before + 500_000 || undefined)
  expect([open(), taken < film.length]).toEqual([1, true])
  clearInterval(reading)
  for (const reader of [stalled, slow]) reader.destroy()
  await until('none reads', async () => open() === 0 || undefined)
})
