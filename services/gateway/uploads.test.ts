import { expect, it } from 'vitest'
import { Readable } from 'node:stream'
import type { FileStore } from '#libs/files/file-store.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import type { Uploads } from '#libs/store/uploads.ts'
import { Turns } from './turns.ts'
import { keepUpload } from './uploads.ts'

const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108020000', 'hex')
const never = new Promise<never>(() => {})

/** A store that is slow to say that a file is kept. */
function keeping(kept: () => Promise<unknown>) {
  let inWork = 0
  const put: FileStore['put'] = async (_key, body) => {
    let bytes = 0
    for await (const chunk of body) bytes += chunk.length
    inWork++
    await kept()
    inWork--
    return bytes
  }
  const context = {
    uploads: {
      begin: async () => true,
      stored: async () => true,
      forget: async () => {},
    } as unknown as Uploads,
    files: { put, remove: async () => {} } as unknown as FileStore,
    uploadLimits: { most: 1_000, mostBytes: 1_000_000 },
    storeTurns: new Turns(systemClock),
  }
  const keep = (userId: string, body = Readable.from([png])) => keepUpload(context, userId, body)
  return { keep, inWork: () => inWork }
}

it('keeps a user’s upload while another one sends however many', async () => {
  let isSlow = true
  const { keep, inWork } = keeping(() => (isSlow ? never : Promise.resolve()))
  for (let i = 0; i < 20; i++) void keep('a')
  await expect.poll(inWork).toBe(2)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(inWork()).toBe(2)
  isSlow = false
  expect(await keep('b')).toMatchObject({ bytes: png.length, type: 'image/png' })
})

it('holds no turn while it waits for the next piece', async () => {
  const { keep } = keeping(() => Promise.resolve())
  const slow = Array.from({ length: 10 }, () => new Readable({ read() {} }))
  const kept = slow.map((body) => {
    body.push(Buffer.concat([png, Buffer.alloc(10_000)]))
    return keep('a', body)
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(await keep('a')).toMatchObject({ bytes: png.length })
  for (const body of slow) body.push(null)
  await Promise.all(kept)
})

it('gives the turn back where a piece is too much, or the store fails', async () => {
  const { keep } = keeping(() => Promise.reject(new Error('no room')))
  const large = () => Readable.from([png, Buffer.alloc(5_000), Buffer.alloc(1_000_000)])
  for (let i = 0; i < 5; i++) {
    await expect(keep('a', large())).rejects.toMatchObject({ status: 413 })
    await expect(keep('a')).rejects.toThrow('no room')
  }
})
