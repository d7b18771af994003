/** A file that is fetched in parts, from servers that tell the truth about them, or do not. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { Agent } from 'undici'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { download, DownloadFailed } from './download.ts'

const size = 400_000
const version = (byte: number) => Buffer.alloc(size, byte)

/** What it says of its version at each part, by the number of the request. */
let says: (n: number) => { file: Buffer; headers: Record<string, string>; whole?: number }
let asked: IncomingMessage[] = []
const server = createServer((request, response) => {
  asked.push(request)
  const { file, headers, whole = file.length } = says(asked.length)
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
  if (from > 0) headers['content-range'] = `bytes ${from}-${whole - 1}/${whole}`
  const part = file.subarray(from)
  response.writeHead(from > 0 ? 206 : 200, {
    'accept-ranges': 'bytes',
    'content-length': part.length,
    ...headers,
  })
  if (asked.length > 1 || headers['content-encoding']) return response.end(part)
  // the first one breaks off
  response.write(part.subarray(0, size / 2), () => setImmediate(() => response.destroy()))
})
const agent = new Agent()
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
afterAll(async () => {
  await agent.destroy()
  server.closeAllConnections()
  server.close()
})

async function fetched(by: typeof says): Promise<Buffer> {
  says = by
  asked = []
  const { port } = server.address() as AddressInfo
  const chunks: Buffer[] = []
  const options = {
    dispatcherFor: () => agent,
    maxBytes: size * 2,
    stallMs: 5_000,
    signal: AbortSignal.timeout(20_000),
  }
  for await (const chunk of download(`http://127.0.0.1:${port}/film.mp4`, options))
    chunks.push(chunk)
  return Buffer.concat(chunks)
}

it('goes on where it broke off, with what is of the same version', async () => {
  expect(await fetched(() => ({ file: version(1), headers: { etag: '"v1"' } }))).toEqual(version(1))
  expect(asked).toHaveLength(2)
  expect(asked[1]!.headers).toMatchObject({ range: `bytes=${size / 2}-`, 'if-range': '"v1"' })
  // a part need not tell its version
  const once = (n: number) => ({ file: version(1), headers: n === 1 ? { etag: '"v1"' } : {} })
  expect(await fetched(once)).toEqual(version(1))
})

it.each([
  ['tag', (n: number) => ({ file: version(n), headers: { etag: `"v${n}"` } })],
  [
    'date',
    (n: number) => ({
      file: version(n),
      headers: { 'last-modified': new Date(n * 86_400_000).toUTCString() },
    }),
  ],
  ['length', (n: number) => ({ file: version(n), headers: { etag: '"v"' }, whole: size + n - 1 })],
])('puts no two versions together that differ by their %s', async (_, by) => {
  await expect(fetched(by)).rejects.toThrow(
    new DownloadFailed('later', 'the file changed while it was fetched'),
  )
})

it.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
  ['aws-chunked', (file: Buffer) => file],
] as [string, (file: Buffer) => Buffer][])(
  'unpacks what comes as %s, though nobody asked for that',
  async (encoding, pack) => {
    const packed = { file: pack(version(1)), headers: { 'content-encoding': encoding } }
    expect(await fetched(() => packed)).toEqual(version(1))
  },
)

it('takes no packed file that is cut, is not what it says, or is larger than the limit', async () => {
  const packed = (file: Buffer) => () => ({ file, headers: { 'content-encoding': 'gzip' } })
  const whole = gzipSync(version(1))
  await expect(fetched(packed(whole.subarray(0, -20)))).rejects.toMatchObject({ kind: 'later' })
  await expect(fetched(packed(version(1)))).rejects.toMatchObject({ kind: 'later' })
  const large = gzipSync(Buffer.alloc(size * 20))
  await expect(fetched(packed(large))).rejects.toMatchObject({ kind: 'never' })
})
