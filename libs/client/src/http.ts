/**
 * Requests and streams. A request that may be repeated is sent again when it found nobody, was told
 * to wait or hit a fault, with growing, jittered waits; any other only when it was surely not
 * carried out (429). A stream that stays silent for longer than the gateway's heartbeat allows is
 * given up.
 */
import { createParser } from 'eventsource-parser'
import { errorOf, ReelkeeperError } from './errors.ts'
import { backoffMs, wait } from './wait.ts'
import { forgetToken, tokenOf, type TokenSource } from './token.ts'

export interface Options {
  /** The gateway's address, or '' for a proxy at the page's own origin. */
  baseUrl: string
  /** For servers only: whoever has it can spend money. */
  apiKey?: string | undefined
  /**
   * A stream token, or what gets one; see token.ts. Give a function: a token ends after 300 s, and
   * whoever connects later needs another.
   */
  token?: TokenSource | undefined
  fetch?: typeof fetch | undefined
  /** How often a request is sent again. */
  retries?: number | undefined
  timeoutMs?: number | undefined
  /** Between two questions while no stream is to be had. */
  pollMs?: number | undefined
  /** A stream without its first byte after so long is taken as blocked. */
  openMs?: number | undefined
  /** A stream silent for so long is taken as dead; the gateway says something every 15 s. */
  silenceMs?: number | undefined
}

/** One server-sent event. */
export interface Message {
  /** The last id the stream gave, '' before the first. */
  id: string
  event: string
  data: string
}

/** How long the gateway asked to wait before the next connection. */
export interface RetryHint {
  retryMs: number
}

export interface Request {
  /** Sent as JSON; a Blob as it is. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
  /** Whether sending it twice does the same as once. */
  repeatable?: boolean
  /** The gateway is asked to answer when the video has ended, or after so long. */
  waitSeconds?: number | undefined
}

const withToken = (path: string, token: string | undefined) =>
  token ? `${path}${path.includes('?') ? '&' : '?'}token=${encodeURIComponent(token)}` : path

export class Http {
  readonly options: Options

  constructor(options: Options) {
    this.options = options
  }

  async send<T>(method: string, path: string, request: Request = {}): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        return (await this.#once(method, path, request)) as T
      } catch (err) {
        const mayRepeat =
          err instanceof ReelkeeperError &&
          err.isPassing &&
          (request.repeatable || err.status === 429)
        if (!mayRepeat || failures >= (this.options.retries ?? 5)) throw err
        await wait(err.retryAfterMs ?? backoffMs(failures), request.signal)
      }
    }
  }

  async #once(
    method: string,
    path: string,
    { body, headers, signal, waitSeconds = 0 }: Request,
  ): Promise<unknown> {
    const timeoutMs = (this.options.timeoutMs ?? 30_000) + waitSeconds * 1_000
    const timeout = AbortSignal.timeout(timeoutMs)
    const isBlob = body instanceof Blob
    const type = isBlob ? body.type || 'application/octet-stream' : 'application/json'
    const content: Record<string, string> = body === undefined ? {} : { 'content-type': type }
    const response = await this.#reach(
      path,
      {
        method,
        headers: {
          accept: 'application/json',
          ...content,
          ...(waitSeconds > 0 ? { prefer: `wait=${waitSeconds}` } : {}),
          ...(await this.#credentials()),
          ...headers,
        },
        body: body === undefined ? null : isBlob ? body : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      },
      signal,
    )
    try {
      if (!response.ok) throw await this.#refused(response)
      return response.status === 204 ? undefined : await response.json()
    } catch (err) {
      signal?.throwIfAborted()
      if (err instanceof ReelkeeperError) throw err
      throw new ReelkeeperError('unexpected_answer', 0, 'The answer broke off or is not JSON.', {
        cause: err,
      })
    }
  }

  /**
   * 'open' once the first bytes are there, then every message and every hint when to return; ends
   * when the gateway ends it. A message that the end cuts off is dropped.
   */
  async *stream(
    path: string,
    lastEventId: string,
    signal: AbortSignal,
  ): AsyncGenerator<Message | RetryHint | 'open'> {
    const given = new AbortController()
    const both = AbortSignal.any([signal, given.signal])
    let timer: ReturnType<typeof setTimeout> | undefined
    const within = async <T>(ms: number, work: () => Promise<T>): Promise<T> => {
      timer = setTimeout(
        () => given.abort(new ReelkeeperError('timeout', 0, `The stream was silent for ${ms} ms.`)),
        ms,
      )
      return work().finally(() => clearTimeout(timer))
    }
    try {
      const { openMs = 8_000, silenceMs = 40_000 } = this.options
      const reader = await within(openMs, () => this.#open(path, lastEventId, both))
      const decoder = new TextDecoder()
      const heard: (Message | RetryHint)[] = []
      let id = ''
      const parser = createParser({
        onEvent: (message) => {
          id = message.id ?? id
          heard.push({ id, event: message.event ?? 'message', data: message.data })
        },
        onRetry: (retryMs) => heard.push({ retryMs }),
      })
      for (let isFirst = true; ; isFirst = false) {
        const { done, value } = await within(isFirst ? openMs : silenceMs, () =>
          reader.read().catch((err: unknown) => this.#broken(err, both)),
        )
        if (done) return
        if (isFirst) yield 'open'
        parser.feed(decoder.decode(value, { stream: true }))
        yield* heard.splice(0)
      }
    } finally {
      given.abort()
    }
  }

  /** @throws when there is a key instead: it belongs into no address */
  async urlWithToken(path: string): Promise<string> {
    if (this.options.apiKey)
      throw new ReelkeeperError('no_token', 0, 'Addresses carry a token, never an API key.')
    return (
      this.options.baseUrl.replace(/\/$/, '') + withToken(path, await tokenOf(this.options.token))
    )
  }

  async #open(
    path: string,
    lastEventId: string,
    signal: AbortSignal,
  ): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const token = this.options.apiKey ? undefined : await tokenOf(this.options.token)
    const headers = {
      accept: 'text/event-stream',
      ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
      ...(token ? {} : await this.#credentials()),
    }
    const response = await this.#reach(
      withToken(path, token),
      { headers, signal, cache: 'no-store' },
      signal,
    )
    if (!response.ok) throw await this.#refused(response)
    if (response.body && response.headers.get('content-type')?.startsWith('text/event-stream'))
      return response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>
    throw new ReelkeeperError(
      'unexpected_answer',
      response.status,
      'The answer is not a stream of events.',
    )
  }

  async #reach(
    path: string,
    init: RequestInit,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const fetch = this.options.fetch ?? globalThis.fetch.bind(globalThis)
    return fetch(this.options.baseUrl.replace(/\/$/, '') + path, init).catch((err: unknown) =>
      this.#broken(err, signal),
    )
  }

  #refused(response: Response): Promise<Error> {
    if (response.status === 401) forgetToken(this.options.token)
    return errorOf(response)
  }

  #broken(err: unknown, signal: AbortSignal | undefined): never {
    signal?.throwIfAborted()
    if ((err as Error).name === 'TimeoutError')
      throw new ReelkeeperError('timeout', 0, 'No answer in time.', { cause: err })
    throw new ReelkeeperError('unreachable', 0, 'The gateway cannot be reached.', { cause: err })
  }

  async #credentials(): Promise<Record<string, string>> {
    const secret = this.options.apiKey ?? (await tokenOf(this.options.token))
    return secret ? { authorization: `Bearer ${secret}` } : {}
  }
}
