/**
 * Every request to a provider leaves here. One bound covers the whole request, however slowly its
 * answer drips; a redirect is an answer and never followed; what became of a request is told apart:
 * answered, not sent (not one byte was handed to the socket), or lost. Never throws.
 *
 * A connection is kept only for what is asked by a task's id and answered with it: on a kept one a
 * copy of an earlier answer may come.
 */
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { Agent, ProxyAgent, type Dispatcher } from 'undici'
import { blockedCode, guardedConnector, isForbiddenHost } from '#libs/net/guard.ts'
import { lookupAsMachine } from '#libs/net/names.ts'
import { Exchange, type Outgoing, type Sent } from './exchange.ts'
import { LargeTurns, type Leave } from './large-turns.ts'

export interface EdgeOptions {
  maxConnections?: number | undefined
  /** The operator's own base URLs: they may be anywhere. All others are users'. */
  trustedBaseUrls?: readonly string[] | undefined
  allowPrivate?: boolean | undefined
  /** A proxy for providers, and the hosts (or suffixes) that are reached without it. */
  proxy?: { url: string; except: readonly string[] } | undefined
  /** A file of further certificate authorities, in PEM. */
  ca?: string | undefined
}

const connectTimeoutMs = 5_000
const userAgent = 'reelkeeper/0.1'
const isLoopback = (host: string) => /^(localhost|127\.[\d.]+|\[::1\])$/i.test(host)
const isExcepted = (host: string, except: readonly string[]) =>
  isLoopback(host) ||
  except.some((one) => {
    const name = one
      .trim()
      .replace(/^\*?\./, '')
      .toLowerCase()
    return name === '*' || (name !== '' && (host === name || host.endsWith(`.${name}`)))
  })

/** The ways to a place. */
interface Ways {
  open: Dispatcher
  guarded: Dispatcher
  proxied: Dispatcher | undefined
}
interface Place {
  origin: string
  path: string
  way: keyof Ways
}
const mostPlaces = 1_000
const agentsOf = ({ open, guarded, proxied }: Ways): Dispatcher[] => [
  ...new Set([open, guarded, ...(proxied ? [proxied] : [])]),
]

export class Edge implements AsyncDisposable {
  /** Whose connections are kept for the next request, and whose are used once. */
  readonly #kept: Ways
  readonly #once: Ways
  readonly #options: EdgeOptions
  readonly #largeTurns = new LargeTurns()
  readonly #trusted: ReadonlySet<string>
  /** Where base URLs lead, and how; parsed once, as there are few. */
  readonly #places = new Map<string, Place | null>()

  constructor(options: EdgeOptions) {
    this.#options = options
    this.#trusted = new Set(options.trustedBaseUrls)
    const ca = options.ca ? [...rootCertificates, readFileSync(options.ca, 'utf8')] : undefined
    const lookup = lookupAsMachine()
    const tls = { timeout: connectTimeoutMs, lookup, ...(ca ? { ca } : {}) }
    const pool = { connections: options.maxConnections ?? 128, keepAliveTimeout: 30_000 }
    const { proxy } = options
    const connect = (): Ways => {
      const open = new Agent({ ...pool, connect: tls })
      return {
        open,
        guarded: options.allowPrivate
          ? open
          : new Agent({ ...pool, connect: guardedConnector(connectTimeoutMs, undefined, ca) }),
        proxied:
          proxy && new ProxyAgent({ ...pool, uri: proxy.url, connect: tls, requestTls: tls }),
      }
    }
    this.#kept = connect()
    this.#once = connect()
  }

  /** A redirect, a refusal, a page of HTML: all are answers. */
  send(outgoing: Outgoing): Promise<Sent> {
    return new Promise((resolve) => {
      const place = this.#placeOf(outgoing.baseUrl)
      if (!place) return resolve({ kind: 'not_sent', reason: blockedCode, isFinal: true })
      const inTurn = (begin: (leave: Leave) => void) => this.#largeTurns.enter(place.origin, begin)
      const exchange = new Exchange(outgoing, resolve, inTurn)
      try {
        const ways = outgoing.namesTask ? this.#kept : this.#once
        ways[place.way]!.dispatch(
          {
            origin: place.origin,
            path: place.path + outgoing.path,
            method: outgoing.method,
            body: outgoing.body,
            headers: {
              'user-agent': userAgent,
              accept: 'application/json',
              ...(outgoing.method === 'GET' ? { 'cache-control': 'no-cache' } : {}),
              ...(outgoing.body === null ? {} : { 'content-type': 'application/json' }),
              ...outgoing.headers,
            },
            // rule: an answer that does not name its task comes over a connection of its own
            reset: !outgoing.namesTask,
            // the exchange has its own
            headersTimeout: 0,
            bodyTimeout: 0,
          },
          exchange,
        )
      } catch (err) {
        // a header or a path that cannot be written
        exchange.onResponseError(undefined!, err as Error)
      }
    })
  }

  #placeOf(baseUrl: string): Place | null {
    const known = this.#places.get(baseUrl)
    if (known !== undefined) return known
    if (this.#places.size >= mostPlaces) this.#places.clear()
    const { origin, pathname, hostname } = new URL(baseUrl)
    const isOurs = this.#trusted.has(baseUrl) || this.#options.allowPrivate === true
    const { proxy } = this.#options
    const isProxied = proxy && !isExcepted(hostname, proxy.except)
    // the proxy resolves names: only addresses can be judged here
    const isBlocked = isProxied && !isOurs && isForbiddenHost(hostname)
    const way = isProxied ? 'proxied' : isOurs ? 'open' : 'guarded'
    const place = isBlocked ? null : ({ origin, path: pathname.replace(/\/+$/, ''), way } as const)
    this.#places.set(baseUrl, place)
    return place
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#largeTurns.close()
    const all = [this.#kept, this.#once].flatMap(agentsOf)
    await Promise.all(all.map((agent) => agent.destroy()))
  }
}
