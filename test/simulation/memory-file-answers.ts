/** What a host of files answers to one request, and how that goes wrong. */
import type { Played } from './memory-http.ts'
import type { World } from './world.ts'

type Plain = Omit<Played, 'status'>

export const noVideo = Buffer.from('<!doctype html><title>Not here</title>'.repeat(9))

const pieces = (whole: Buffer, bytes: number) =>
  Array.from({ length: Math.ceil(whole.length / bytes) }, (_, i) =>
    whole.subarray(i * bytes, (i + 1) * bytes),
  )

/** What goes wrong with one request. */
export const hostFaults = [
  'busy', 'error', 'reset', 'cut', 'short', 'stall', 'drip', 'html', 'redirect', 'blocked',
  'refused', 'silent', 'forbidden', 'astray',
] as const // prettier-ignore
export type HostFault = (typeof hostFaults)[number] | 'none'
/** How all requests of the bad user's files go. */
export const badHosts: HostFault[] = ['none', 'drip', 'silent', 'error', 'reset', 'html', 'busy']

export function deadLink(world: World, plain: Plain): Played {
  const status = world.pick([401, 403, 404, 410, 200])
  return status === 200 ? { ...plain, status, chunks: [noVideo] } : { ...plain, status }
}

/** Of a request for `content`, or for the `range` of it. */
export function answerOf(
  world: World,
  fault: HostFault,
  asked: { content: Buffer; range: string | undefined; url: URL; plain: Plain },
): Played {
  const { content, range, url, plain } = asked
  const from = range ? Number(/^bytes=(\d+)-$/.exec(range)![1]) : 0
  const rest = content.subarray(from)
  const whole: Played = {
    ...plain,
    status: range ? 206 : 200,
    headers: {
      'content-length': String(rest.length),
      'accept-ranges': 'bytes',
      etag: `"${url.pathname.split('/')[1]}"`,
      ...(range
        ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }
        : {}),
    },
    chunks: pieces(rest, 1_000),
    gapMs: world.between(1, 400),
  }
  const half = whole.chunks.slice(0, whole.chunks.length >> 1)
  const answers: Record<HostFault, () => Played> = {
    none: () => whole,
    busy: () => ({
      ...plain,
      status: 429,
      headers: { 'retry-after': world.pick(['1', '30', '3600']) },
    }),
    error: () => ({ ...plain, status: world.pick([500, 502, 503]) }),
    reset: () => ({ ...whole, chunks: half, ends: 'reset' }),
    // as undici tells a body that ended before its Content-Length, or its chunks, did
    cut: () => ({ ...whole, headers: {}, chunks: half, ends: 'reset' }),
    short: () => ({ ...whole, headers: {}, chunks: half }),
    stall: () => ({ ...whole, chunks: half, ends: 'never' }),
    drip: () => ({ ...whole, chunks: pieces(rest, 64), gapMs: 25_000 }),
    html: () => ({ ...plain, status: 200, chunks: [noVideo] }),
    redirect: () =>
      url.host === 'cdn.example'
        ? whole
        : { ...plain, status: 302, headers: { location: `https://cdn.example${url.pathname}` } },
    blocked: () => ({ ...plain, status: 0, error: 'ERR_IP_BLOCKED' }),
    refused: () => ({ ...plain, status: 0, error: 'ECONNREFUSED' }),
    silent: () => ({ ...plain, status: 0, isSilent: true }),
    forbidden: () => ({ ...plain, status: world.pick([401, 403, 404]) }),
    astray: () => ({ ...plain, status: 302, headers: { location: 'ftp://files.example/' } }),
  }
  return answers[fault]()
}
