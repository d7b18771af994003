/**
 * A body out of the content-encoding that it came in though none was asked for. A name that is no
 * packing (`aws-chunked`, `binary`) says nothing of the bytes: they are taken as they come, and
 * whether they are a video is seen by themselves.
 */
import { pipeline, Readable, type Duplex } from 'node:stream'
import { createBrotliDecompress, createGunzip, createUnzip, createZstdDecompress } from 'node:zlib'
import type { Body } from './get.ts'

const unpackers: Record<string, () => Duplex> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createUnzip,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
}

const unpackerOf = (encoding: string | undefined) => {
  const name = encoding?.trim().toLowerCase() ?? ''
  return Object.hasOwn(unpackers, name) ? unpackers[name] : undefined
}

export const isPacked = (encoding: string | undefined): boolean =>
  unpackerOf(encoding) !== undefined

/** Its reader is told of what is wrong with the packing. */
export function unpacked(body: Body, encoding: string | undefined): Body {
  const unpacker = unpackerOf(encoding)?.()
  if (!unpacker) return body
  // the error is the reader's
  pipeline(Readable.from(body), unpacker, () => {})
  return {
    async *[Symbol.asyncIterator]() {
      for await (const chunk of unpacker) yield chunk as Buffer
    },
    cancel() {
      unpacker.destroy()
      body.cancel()
    },
  }
}
