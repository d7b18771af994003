/**
 * The provider's side of finished videos: links that die, servers that misbehave, and the word of
 * the provider where a fresh link can be had.
 */
import { readFileSync } from 'node:fs'
import type { Dispatcher } from 'undici'
import type { LinkOpener, TaskAnswer, TaskReader } from '#libs/provider/provider.ts'
import { answerOf, deadLink, hostFaults, noVideo, type HostFault } from './memory-file-answers.ts'
import { Exchange, type Played } from './memory-http.ts'
import { call, type Process, type Weather, type World } from './world.ts'

const clip = readFileSync(new URL('../../services/provider-simulator/clip.mp4', import.meta.url))
export const maxBytes = 100_000

/** Runway renews a dead link, OpenRouter's links need the key, toapis' are as they are. */
export const fileProviders = ['toapis', 'runway', 'openrouter'] as const
/** The longest that a link lives. */
export const longestLifeMs = 150_000

export interface Made {
  taskId: string
  ownId: string
  provider: string
  /** Of the user whose host may be bad. */
  isBad: boolean
}

export interface Hosted extends Made {
  videoId: string
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

type Headers = Record<string, string>

export class MemoryFileHost {
  readonly hosted = new Map<string, Hosted>()
  readonly #world: World
  /** The time of day, in milliseconds. */
  now: () => number
  /** Share of requests that go wrong. */
  faults = 0
  /** Each result is a video whose link lives long. */
  isFair = false
  bad: HostFault = 'none'
  /** A key was sent where it does not belong. */
  onLeak: (host: string) => void = () => {}

  constructor(world: World) {
    this.#world = world
    this.now = () => world.now
  }

  /** What the provider says of a task that is done; its first link lives from then on. */
  done(task: Made): TaskAnswer {
    const one = this.hosted.get(task.taskId) ?? this.#finish(task)
    return { kind: 'done', videoUrl: this.#linkOf(one), expiresAt: this.#expiryOf(one) }
  }

  #finish({ taskId, ownId, provider, isBad }: Made): Hosted {
    const world = this.#world
    const now = this.now()
    const kind = world.chance(0.94) ? 'video' : world.pick(['html', 'huge'] as const)
    const lifeMs = world.pick([
      world.between(10_000, 40_000),
      world.between(40_000, 80_000),
      world.between(80_000, longestLifeMs),
    ])
    const hosted: Hosted = {
      taskId,
      ownId,
      videoId: ownId.slice(0, 36),
      provider,
      isBad,
      kind: this.isFair ? 'video' : kind,
      content: contentOf(taskId),
      lifeMs: this.isFair ? longestLifeMs : lifeMs,
      tellsExpiry: world.chance(0.85),
      diesAt: [],
      taskEndsAt: now + (world.chance(0.8) ? 24 * 3_600_000 : lifeMs),
    }
    hosted.diesAt.push(now + hosted.lifeMs)
    this.hosted.set(taskId, hosted)
    return hosted
  }

  #linkOf({ taskId, isBad, diesAt }: Hosted): string {
    return `https://${isBad ? 'bad' : 'files'}.example/${taskId}/${diesAt.length}`
  }

  /** What a link of it leads to. */
  under(link: string): Hosted {
    return this.hosted.get(new URL(link).pathname.split('/')[1]!)!
  }

  /** Nothing that was ever promised can be had any more. */
  isGone({ provider, diesAt, taskEndsAt }: Hosted): boolean {
    const now = this.now()
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
    const one = this.under(url.href)
    const serial = url.pathname.split('/')[2]
    if (headers['authorization'] && url.host !== 'files.example' && url.host !== 'bad.example')
      this.onLeak(url.host)
    if (one.diesAt[Number(serial) - 1]! <= this.now()) return deadLink(world, plain)
    if (one.provider === 'openrouter' && url.host !== 'cdn.example' && !headers['authorization'])
      return { ...plain, status: 401 }
    if (one.kind === 'html') return { ...plain, status: 200, chunks: [noVideo] }
    if (one.kind === 'huge')
      return { ...plain, status: 200, headers: { 'content-length': String(maxBytes + 1) } }
    const isBad = one.isBad && this.bad !== 'none'
    const fault = isBad ? this.bad : world.chance(this.faults) ? world.pick(hostFaults) : 'none'
    return answerOf(world, fault, { content: one.content, range: headers['range'], url, plain })
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
    const one = this.hosted.get(taskId.replace(/^other-/, ''))!
    const isBad = one.isBad && this.bad !== 'none'
    if (isBad || world.chance(this.faults))
      return world.pick<TaskAnswer>([
        { kind: 'none', reason: '502' },
        { kind: 'later', retryAfterMs: 5_000 },
        { kind: 'working', phase: 'running', progress: null },
      ])
    if (one.taskEndsAt <= this.now()) return { kind: 'missing' }
    if (one.diesAt.at(-1)! < this.now() + one.lifeMs / 2) one.diesAt.push(this.now() + one.lifeMs)
    return { kind: 'done', videoUrl: this.#linkOf(one), expiresAt: this.#expiryOf(one) }
  }

  /** Of its newest link, as the provider tells it. */
  #expiryOf({ tellsExpiry, diesAt }: Hosted): string | null {
    return tellsExpiry ? new Date(Date.UTC(2026, 0, 1) + diesAt.at(-1)!).toISOString() : null
  }
}
