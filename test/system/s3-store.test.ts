/** The store of files in S3, against servers that were written by others. */
import { HeadObjectCommand, ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3'
import { randomBytes } from 'node:crypto'
import { createServer, request as ask, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describesFileStore } from '../conformance/file-store.ts'
import { all, isMissing, newKey, one, openStore, root, type, why } from '../support/s3-kit.ts'
import { makeBucket, startMoto, type S3Server } from '../support/s3-servers.ts'

let moto: S3Server
let client: S3Client
let between: Server
let spoil = false
/** Called once the bucket has made a file, before it is told. */
let whenMade = () => {}
/** Before the bucket is sent a part; false: it is refused. */
const letThrough = async (_part: number): Promise<boolean> => true
let mayPass = letThrough

beforeAll(async () => {
  if (isMissing) return
  moto = await startMoto(root)
  client = await makeBucket(moto)
  between = await startBetween(moto.port)
})
afterAll(async () => {
  client?.destroy()
  between?.close()
  await moto?.stop()
})

const throughBetween = (): S3Server => ({
  ...moto,
  url: `http://127.0.0.1:${(between.address() as AddressInfo).port}`,
})

describe.skipIf(isMissing)(`a bucket of moto${why}`, () => {
  describe('without checksums', () => {
    const open = () => openStore(moto, { checksums: false })
    describesFileStore(open)
  })

  describe('with checksums', () => {
    const open = () => openStore(moto, { checksums: true })
    describesFileStore(open)

    // of what was put in parts S3 keeps no checksum of the whole: the SDK holds nothing against it
    it('notices a byte that was changed on the way, where it was put in one part', async () => {
      const key = newKey()
      const [store, without] = [
        openStore(throughBetween(), { checksums: true }),
        openStore(throughBetween(), { checksums: false }),
      ]
      const data = randomBytes(1_000)
      await store.put(key, one(data), { type })
      expect((await all(await store.read(key))).equals(data)).toBe(true)
      spoil = true
      try {
        expect((await all(await without.read(key))).equals(data)).toBe(false)
        await expect(store.read(key).then(all)).rejects.toThrow(/[Cc]hecksum/)
      } finally {
        spoil = false
      }
    })
  })
})

describe.skipIf(isMissing)(`what a bucket is asked for${why}`, () => {
  it('leaves no parts of an upload that broke off or was called off', async () => {
    const store = openStore(moto)
    const stop = new AbortController()
    const endless = async function* (end: () => void) {
      for (let i = 0; i < 40; i++) {
        if (i === 30) end()
        yield randomBytes(1024 * 1024)
      }
    }
    await expect(
      store.put(
        newKey(),
        endless(() => {
          throw new Error('broke off')
        }),
        { type },
      ),
    ).rejects.toThrow('broke off')
    await expect(
      store.put(
        newKey(),
        endless(() => stop.abort(new Error('called off'))),
        { type, signal: stop.signal },
      ),
    ).rejects.toThrow()
    const left = await client.send(new ListMultipartUploadsCommand({ Bucket: 'films' }))
    expect(left.Uploads ?? []).toEqual([])
  })

  it.each([10, 6_000_000])('says of %i bytes that are there that they are', async (bytes) => {
    const [store, key, stop] = [openStore(throughBetween()), newKey(), new AbortController()]
    whenMade = () => stop.abort(new Error('called off'))
    try {
      const putting = store.put(key, one(randomBytes(bytes)), { type, signal: stop.signal })
      expect(await putting).toBe(bytes)
    } finally {
      whenMade = () => {}
    }
    expect(stop.signal.aborted).toBe(true)
    expect(await store.size(key)).toBe(bytes)
  })

  it.each([
    ['AES256', undefined],
    ['aws:kms', 'arn:aws:kms:us-east-1:123456789012:key/films'],
  ] as const)('asks for encryption by %s, whole and in parts', async (encryption, kmsKeyId) => {
    const store = openStore(moto, { encryption, kmsKeyId })
    for (const bytes of [10, 9_000_000]) {
      const key = newKey()
      await store.put(key, one(randomBytes(bytes)), { type })
      const head = await client.send(new HeadObjectCommand({ Bucket: 'films', Key: `kept/${key}` }))
      expect(head).toMatchObject({
        ContentType: type,
        ContentLength: bytes,
        ServerSideEncryption: encryption,
        ...(kmsKeyId ? { SSEKMSKeyId: kmsKeyId } : {}),
      })
    }
  })
})

describe.skipIf(isMissing)(`parts of a file${why}`, () => {
  it('puts a file together in order, whichever of its parts arrives first', async () => {
    const [store, key, data] = [openStore(throughBetween()), newKey(), randomBytes(23_000_000)]
    const third = Promise.withResolvers<void>()
    const came: number[] = []
    mayPass = async (part) => {
      if (part === 1) await third.promise
      came.push(part)
      if (part === 3) third.resolve()
      return true
    }
    try {
      expect(await store.put(key, one(data), { type })).toBe(data.length)
    } finally {
      mayPass = letThrough
    }
    expect([came.length, came[0] === 1]).toEqual([5, false])
    expect((await all(await store.read(key))).equals(data)).toBe(true)
  })

  it('reads no further once a part was refused, says by what, and leaves none behind', async () => {
    const [store, key] = [openStore(throughBetween()), newKey()]
    let read = 0
    const endless = async function* () {
      for (; read < 300; read++) {
        yield randomBytes(1024 * 1024)
        await setTimeout(10)
      }
    }
    mayPass = async (part) => part !== 2
    try {
      await expect(store.put(key, endless(), { type })).rejects.toThrow('AccessDenied')
    } finally {
      mayPass = letThrough
    }
    expect(read).toBeLessThan(100)
    expect(await store.size(key)).toBeNull()
    const left = await client.send(new ListMultipartUploadsCommand({ Bucket: 'films' }))
    expect(left.Uploads ?? []).toEqual([])
  })
})

describe.skipIf(isMissing)(`its files in a bucket${why}`, () => {
  it('lie beneath its prefix, and it lists no others', async () => {
    const [kept, other] = [openStore(moto), openStore(moto, { prefix: 'other/' })]
    const key = newKey()
    await other.put(key, one(randomBytes(10)), { type })
    expect(await kept.size(key)).toBeNull()
    const listed: string[] = []
    for await (const file of other.list()) listed.push(file.key)
    expect(listed).toEqual([key])
  })

  it('are listed, also where there are more than a page of a thousand', async () => {
    const store = openStore(moto, { prefix: 'many/' })
    const keys = Array.from({ length: 1_003 }, newKey)
    for (let at = 0; at < keys.length; at += 50)
      await Promise.all(
        keys.slice(at, at + 50).map((key) => store.put(key, one(Buffer.from('x')), { type })),
      )
    const listed: string[] = []
    for await (const file of store.list()) listed.push(file.key)
    expect(listed.toSorted()).toEqual(keys.toSorted())
  })

  it('are not taken for missing where the bucket is, or the service is away', async () => {
    const missing = openStore(moto, { bucket: 'nobodys' })
    await expect(missing.read(newKey())).rejects.toThrow()
    await expect(missing.put(newKey(), one(Buffer.from('x')), { type })).rejects.toThrow()
    const away = openStore({ ...moto, url: 'http://127.0.0.1:1' })
    await expect(away.size(newKey())).rejects.toThrow()
  })
})

/** Of a whole file, or of the end of one in parts. */
const makesFile = (method: string, url: string) =>
  method === 'PUT' ? !url.includes('partNumber=') : method === 'POST' && url.includes('uploadId=')

/** Hands requests on to a port; where `spoil` is set, with the last byte of an object changed. */
async function startBetween(port: number): Promise<Server> {
  const server = createServer(async (incoming, outgoing) => {
    const { method, url, headers } = incoming
    const part = /partNumber=(\d+)/.exec(url!)?.[1]
    if (part && !(await mayPass(Number(part)))) {
      incoming.resume()
      return outgoing.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>')
    }
    const onward = ask({ port, host: '127.0.0.1', method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers)
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const body = Buffer.concat(chunks)
        if (spoil && body.length > 0) body[body.length - 1]! ^= 1
        if (makesFile(method!, url!)) whenMade()
        outgoing.end(body)
      })
    })
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
