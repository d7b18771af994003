/**
 * The provider's side of finished videos: links that die, servers that misbehave, and the word of
 * the provider where a fresh link can be had.
 */
import { readFileSync } from 'node:fs'
import type { Dispatcher } from 'undici'
import type { LinkOpener, TaskAnswer, TaskReader } from '#libs/provider/provider.ts'
import { Exchange, type Played } from './memory-http.ts'
import { badUserId } from './tenants.ts'
import { call, type Process, type Weather, type World } from './world.ts'

const clip = readFileSync(new URL('../../services/provider-simulator/clip.mp4', import.meta.url))
const html = Buffer.from('<!doctype html><title>Not here</title>'.repeat(9))
export const maxBytes = 100_000

/** Runway renews a dead link, OpenRouter's links need the key, toapis' are as they are. */
export const fileProviders = ['toapis', 'toapis', 'runway', 'openrouter'] as const

export interface Hosted {
  id: string
  userId: string
  provider: (typeof fileProviders)[number]
  /** `html` and `huge` are under the link instead of a video, for good. */
  kind: 'video' | 'html' | 'huge'
  content: Buffer
  /** Of each of its links, in milliseconds. */
  lifeMs: number
  tellsExpiry: boolean
  /** When each of its links dies. */
  diesAt: number[]
  /** Until then the provider renews. */
  taskEndsAt: number
}

/** As an MP4's last box, so that no two videos have the same bytes. */
function contentOf(id: string): Buffer {
  const box = Buffer.alloc(8 + id.length)
  box.writeUInt32BE(box.length)
  box.write(`free${id}`, 4)
  return Buffer.concat([clip, box])
}

const pieces = (whole: Buffer, bytes: number) =>
  Array.from({ length: Math.ceil(whole.length / bytes) }, (_, i) =>
    whole.subarray(i * bytes, (i + 1) * bytes),
  )

/** What goes wrong with one request. */
const faults = [
  'busy', 'error', 'reset', 'cut', 'short', 'stall', 'drip', 'html', 'redirect', 'blocked',
  'refused', 'silent', 'forbidden', 'astray',
] as const // prettier-ignore
export type HostFault = (typeof faults)[number] | 'none'
/** How all requests of the bad user's files go. */
export const badHosts: HostFault[] = ['none', 'drip', 'silent', 'error', 'reset', 'html', 'busy']

type Headers = Record<string, string>

export class MemoryFileHost {
  readonly hosted = new Map<string, Hosted>()
  readonly #world: World
  /** Share of requests that go wrong. */
  faults = 0
  bad: HostFault = 'none'
  /** A key was sent where it does not belong. */
  onLeak: (host: string) => void = () => {}

  constructor(world: World) {
    this.#world = world
  }

  /** A video is finished; its first link. */
  finish(one: Omit<Hosted, 'content' | 'diesAt' | 'taskEndsAt'>): Hosted {
    const { now } = this.#world
    const renewsMs = this.#world.chance(0.8) ? 24 * 3_600_000 : one.lifeMs
    const hosted = {
      ...one,
      content: contentOf(one.id),
      diesAt: [now + one.lifeMs],
      taskEndsAt: now + renewsMs,
    }
    this.hosted.set(one.id, hosted)
    return hosted
  }

  linkOf({ id, userId, diesAt }: Hosted): string {
    return `https://${userId === badUserId ? 'bad' : 'files'}.example/${id}/${diesAt.length}`
  }

  /** Nothing that was ever promised can be had any more. */
  isGone({ provider, diesAt, taskEndsAt }: Hosted): boolean {
    const { now } = this.#world
    return diesAt.at(-1)! <= now && (provider !== 'runway' || taskEndsAt <= now)
  }

  dispatcherFor(process: Process): Pick<Dispatcher, 'dispatch'> {
    return {
      dispatch: (options, handler) => {
        const { origin, path, headers, headersTimeout, bodyTimeout } = options
        const url = new URL(path, String(origin))
        const patience = { headersMs: headersTimeout ?? 0, bodyMs: bodyTimeout ?? 0 }
        new Exchange(process, handler, this.#answer(url, headers as Headers), patience)
        return true
      },
    }
  }

  #answer(url: URL, headers: Headers): Played {
    const world = this.#world
    const delayMs = world.between(5, 200)
    const plain: Omit<Played, 'status'> = {
      delayMs,
      headers: {},
      chunks: [],
      gapMs: 5,
      ends: 'whole',
    }
    const [, id = '', serial = ''] = url.pathname.split('/')
    const one = this.hosted.get(id)!
    if (headers['authorization'] && url.host !== 'files.example' && url.host !== 'bad.example')
      this.onLeak(url.host)
    if (one.diesAt[Number(serial) - 1]! <= world.now) return this.#dead(plain)
    if (one.provider === 'openrouter' && url.host !== 'cdn.example' && !headers['authorization'])
      return { ...plain, status: 401 }
    if (one.kind === 'html') return { ...plain, status: 200, chunks: [html] }
    if (one.kind === 'huge')
      return { ...plain, status: 200, headers: { 'content-length': String(maxBytes + 1) } }
    const isBad = one.userId === badUserId && this.bad !== 'none'
    const fault = isBad ? this.bad : world.chance(this.faults) ? world.pick(faults) : 'none'
    return this.#video(one, fault, headers, url, plain)
  }

  #dead(plain: Omit<Played, 'status'>): Played {
    const status = this.#world.pick([401, 403, 404, 410, 200])
    return status === 200 ? { ...plain, status, chunks: [html] } : { ...plain, status }
  }

  #video(
    one: Hosted,
    fault: HostFault,
    { range }: Headers,
    url: URL,
    plain: Omit<Played, 'status'>,
  ): Played {
    const from = range ? Number(/^bytes=(\d+)-$/.exec(range)![1]) : 0
    const rest = one.content.subarray(from)
    const whole: Played = {
      ...plain,
      status: range ? 206 : 200,
      headers: {
        'content-length': String(rest.length),
        'accept-ranges': 'bytes',
        etag: `"${one.id}"`,
        ...(range
          ? { 'content-range': `bytes ${from}-${one.content.length - 1}/${one.content.length}` }
          : {}),
      },
      chunks: pieces(rest, 1_000),
      gapMs: this.#world.between(1, 400),
    }
    const half = whole.chunks.slice(0, whole.chunks.length >> 1)
    const answers: Record<HostFault, () => Played> = {
      none: () => whole,
      busy: () => ({
        ...plain,
        status: 429,
        headers: { 'retry-after': this.#world.pick(['1', '30', '3600']) },
      }),
      error: () => ({ ...plain, status: this.#world.pick([500, 502, 503]) }),
      reset: () => ({ ...whole, chunks: half, ends: 'reset' }),
      // as undici tells a body that ended before its Content-Length, or its chunks, did
      cut: () => ({ ...whole, headers: {}, chunks: half, ends: 'reset' }),
      short: () => ({ ...whole, headers: {}, chunks: half }),
      stall: () => ({ ...whole, chunks: half, ends: 'never' }),
      drip: () => ({ ...whole, chunks: pieces(rest, 64), gapMs: 25_000 }),
      html: () => ({ ...plain, status: 200, chunks: [html] }),
      redirect: () =>
        url.host === 'cdn.example'
          ? whole
          : { ...plain, status: 302, headers: { location: `https://cdn.example${url.pathname}` } },
      blocked: () => ({ ...plain, status: 0, error: 'ERR_IP_BLOCKED' }),
      refused: () => ({ ...plain, status: 0, error: 'ECONNREFUSED' }),
      silent: () => ({ ...plain, status: 0, isSilent: true }),
      forbidden: () => ({ ...plain, status: this.#world.pick([401, 403, 404]) }),
      astray: () => ({ ...plain, status: 302, headers: { location: 'ftp://files.example/' } }),
    }
    return answers[fault]()
  }

  /** The provider as one process has it. */
  providerOf(process: Process, weather: Weather): Pick<TaskReader, 'get'> & LinkOpener {
    const reach = <T>(act: () => T) => {
      const over = { weather, timeoutMs: 10_000, isUp: () => true, fail: () => new Error('silent') }
      return call(process, over, act)
    }
    return {
      get: async (_account, taskId) => {
        const answer = await reach(() => this.#told(taskId)).catch((): TaskAnswer => ({
          kind: 'none',
          reason: 'no answer',
        }))
        return { answer, taskId, rateLimit: null }
      },
      linkHeaders: async () => ({ authorization: 'Bearer of the account' }),
    }
  }

  #told(taskId: string): TaskAnswer {
    const world = this.#world
    const one = this.hosted.get(taskId)!
    const isBad = one.userId === badUserId && this.bad !== 'none'
    if (isBad || world.chance(this.faults))
      return world.pick<TaskAnswer>([
        { kind: 'none', reason: '502' },
        { kind: 'later', retryAfterMs: 5_000 },
        { kind: 'working', phase: 'running', progress: null },
      ])
    if (one.taskEndsAt <= world.now) return { kind: 'missing' }
    if (one.diesAt.at(-1)! < world.now + one.lifeMs / 2) one.diesAt.push(world.now + one.lifeMs)
    return { kind: 'done', videoUrl: this.linkOf(one), expiresAt: this.expiryOf(one) }
  }

  /** Of its newest link, as the provider tells it. */
  expiryOf({ tellsExpiry, diesAt }: Hosted): string | null {
    return tellsExpiry ? new Date(Date.UTC(2026, 0, 1) + diesAt.at(-1)!).toISOString() : null
  }
}
