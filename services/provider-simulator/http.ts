/** What the simulator puts on the wire: JSON, files with ranges, and answers that go wrong. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { clip } from './clip.ts'

export function send(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(typeof body === 'string' ? body : JSON.stringify(body))
}

export async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** A body that takes seconds. */
export function dribble(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  const half = Math.floor(body.length / 2)
  response.write(body.slice(0, half))
  setTimeout(() => response.end(body.slice(half)), 3_000 + Math.random() * 3_000).unref()
}

export function sendFile(request: IncomingMessage, response: ServerResponse): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  const from = range ? Number(range[1]) : 0
  const to = range?.[2] ? Math.min(Number(range[2]), clip.length - 1) : clip.length - 1
  if (from > to)
    return void response.writeHead(416, { 'content-range': `bytes */${clip.length}` }).end()
  const headers = {
    'content-type': 'video/mp4',
    'accept-ranges': 'bytes',
    'content-length': to - from + 1,
  }
  response.writeHead(
    range ? 206 : 200,
    range ? { ...headers, 'content-range': `bytes ${from}-${to}/${clip.length}` } : headers,
  )
  response.end(clip.subarray(from, to + 1))
}
