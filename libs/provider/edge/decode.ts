/**
 * The text in the bytes of an answer: whatever content-encoding it came in, whatever charset, with
 * or without a byte order mark. Bounded: what unpacks to more than the bound is an error.
 */
import { promisify } from 'node:util'
import zlib from 'node:zlib'

export const longestBody = 8 * 1024 * 1024

const unpackers = {
  gzip: promisify(zlib.gunzip),
  br: promisify(zlib.brotliDecompress),
  zstd: promisify(zlib.zstdDecompress),
  inflate: promisify(zlib.inflate),
  inflateRaw: promisify(zlib.inflateRaw),
}

/** `deflate` is zlib by the standard, and raw at some servers. */
const isZlib = (bytes: Buffer) => (bytes[0]! & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0

/** @throws `ERR_BUFFER_TOO_LARGE` beyond `most` bytes; when it is not what it says */
export async function unpack(bytes: Buffer, encodings: string, most: number): Promise<Buffer> {
  let unpacked = bytes
  for (const name of encodings.toLowerCase().split(',').toReversed()) {
    const encoding = name.trim().replace(/^x-/, '')
    if (encoding === '' || encoding === 'identity' || unpacked.length < 2) continue
    const kind =
      encoding === 'deflate' ? (isZlib(unpacked) ? 'inflate' : 'inflateRaw') : (encoding as 'gzip')
    const unpacker = Object.hasOwn(unpackers, kind) ? unpackers[kind] : undefined
    if (!unpacker) throw new Error(`content-encoding ${encoding}`)
    unpacked = await unpacker(unpacked, { maxOutputLength: most })
  }
  return unpacked
}

/** By byte order mark, else by where JSON's first character has its zero byte, else as told. */
function charsetOf(bytes: Buffer, contentType: string | undefined): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8'
  if (bytes.length > 1 && bytes[0] !== 0 && bytes[1] === 0) return 'utf-16le'
  if (bytes.length > 1 && bytes[0] === 0 && bytes[1] !== 0) return 'utf-16be'
  return /charset\s*=\s*"?([\w-]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase() ?? 'utf-8'
}

export function decodeText(bytes: Buffer, contentType: string | undefined): string {
  const charset = charsetOf(bytes, contentType)
  if (charset === 'utf-8' || charset === 'utf8')
    return bytes.toString('utf8', bytes[0] === 0xef && bytes[1] === 0xbb ? 3 : 0)
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return bytes.toString('utf8')
  }
}
