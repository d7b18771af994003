/**
 * Answers with a kept file, or a part of it: ranges, conditional requests, HEAD (RFC 9110). Only a
 * few blocks of a file are in memory at a time; a reader who leaves, or takes nothing for long,
 * ends the reading.
 */
import { create as contentDisposition } from 'content-disposition'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fresh from 'fresh'
import { Readable } from 'node:stream'
import { parse as parseRange } from 'range-parser'
import type { ByteRange, FileStore } from '#libs/files/file-store.ts'
import type { VideoFile } from '#libs/scene-video/video-file.ts'
import type { Context } from './context.ts'
import { notFound, Problem } from './problem.ts'
import { inTurns } from './turns.ts'

export interface Served {
  key: string
  file: Pick<VideoFile, 'bytes' | 'sha256' | 'type' | 'storedAt'>
  /** Without its extension. */
  name: string
}

const linkSeconds = 300
/** A bit of what `range-parser` says of a header: to be ignored. */
const malformed = 1

/** File systems take 255 bytes, proxies a few KiB of headers, where each of these is three. */
const mostNameBytes = 200
/** What is not seen: control characters, and what turns the text after it around. */
const unseen = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu

/** `inline`, under the name that a browser saves it as. */
export const dispositionOf = ({ name, file }: Served): string =>
  contentDisposition(`${shortened(name.replace(unseen, ' '))}.${extensionOf(file)}`, {
    type: 'inline',
  })

/** In whole characters. */
function shortened(name: string): string {
  let bytes = 0
  const fits = (part: string) => (bytes += Buffer.byteLength(part)) <= mostNameBytes
  const parts = Array.from(new Intl.Segmenter().segment(name), ({ segment }) => segment)
  return parts.filter(fits).join('').trim() || 'video'
}

const extensions: Record<string, string> = { 'video/webm': 'webm', 'image/jpeg': 'jpg' }
const extensionOf = ({ type }: Served['file']): string => extensions[type ?? ''] ?? 'mp4'

export async function serveFile(
  { files, fileStallMs, storeTurns }: Pick<Context, 'files' | 'fileStallMs' | 'storeTurns'>,
  served: Served,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { key, file } = served
  const version = { etag: `"${file.sha256}"`, modified: new Date(file.storedAt).toUTCString() }
  const { etag, modified } = version
  requireVersion(request, version)
  reply.headers({
    'accept-ranges': 'bytes',
    'cache-control': 'private, max-age=3600, no-transform',
    'content-disposition': dispositionOf(served),
    etag,
    'last-modified': modified,
  })
  // `no-cache` is for caches on the way: what a reader has is still compared
  const { 'cache-control': _, 'if-modified-since': since, ...asked } = request.headers
  if (isDate(since)) asked['if-modified-since'] = since
  if (fresh(asked, { etag, 'last-modified': modified })) return reply.code(304).send()
  const range = rangeOf(request, file.bytes, version)
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${file.bytes}`)
    throw new Problem(416, 'range_not_satisfiable', `The file has ${file.bytes} bytes.`)
  }
  if (range)
    reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${file.bytes}`)
  reply.type(file.type ?? 'application/octet-stream')
  reply.header('content-length', range ? range.end - range.start + 1 : file.bytes)
  // without a stream the length would be told as 0
  if (request.method === 'HEAD') return reply.send(Readable.from([]))
  const body = await files.read(key, range ?? undefined)
  if (body === null) throw notFound('The file is not where it was kept; the operator can tell why.')
  reply.raw.setTimeout(fileStallMs)
  return reply.send(inTurns(body, storeTurns, request.identity.userId))
}

interface Version {
  etag: string
  modified: string
}

/** What else JavaScript reads as a date is to be ignored (RFC 9110, 13.1.3). */
const isDate = (text: string | undefined): text is string => text?.endsWith(' GMT') ?? false

/** @throws Problem 412 where only another version is wanted (RFC 9110, 13.2.2) */
function requireVersion({ headers }: FastifyRequest, { etag, modified }: Version): void {
  const asked = headers['if-unmodified-since']
  const since = isDate(asked) ? Date.parse(asked) : NaN
  const wanted = headers['if-match']?.split(',').map((one) => one.trim())
  const isWanted = wanted
    ? wanted.includes('*') || wanted.includes(etag)
    : !(Date.parse(modified) > since)
  if (isWanted) return
  throw new Problem(412, 'precondition_failed', 'The file is not of the version asked for.')
}

/** The part asked for; null for all of it, also where several parts are asked for. */
function rangeOf(
  { headers, method }: FastifyRequest,
  bytes: number,
  version: Version,
): ByteRange | 'unsatisfiable' | null {
  const asked = headers.range
  const only = headers['if-range']
  // parts are of GET alone (RFC 9110, 14.2)
  if (asked === undefined || method !== 'GET') return null
  if (only !== undefined && only !== version.etag && only !== version.modified) return null
  const { code, type, ranges } = parseRange(bytes, asked)
  if (code & malformed || type !== 'bytes') return null
  if (ranges.length === 0) return 'unsatisfiable'
  return ranges.length === 1 ? { start: ranges[0]!.start, end: ranges[0]!.end } : null
}

/** A link into the store that needs no key, where it can give one; else null. */
export async function presigned(files: FileStore, served: Served): Promise<string | null> {
  if (!files.presign) return null
  return files.presign(served.key, {
    seconds: linkSeconds,
    type: served.file.type ?? 'application/octet-stream',
    disposition: dispositionOf(served),
  })
}
