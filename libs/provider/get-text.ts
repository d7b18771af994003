/**
 * The query that is made for every poll. `request` of undici makes a stream of every body, which
 * costs more than all the rest of a poll; here the few bytes of an answer are collected as they
 * come. A body above the limit, like one that stalls, ends in an error.
 */
import { errors, type Agent, type Dispatcher } from 'undici'

type Headers = Record<string, string | string[] | undefined>
export interface TextAnswer {
  status: number
  headers: Headers
  text: string
}

const longestBody = 1_000_000

class Collecting implements Dispatcher.DispatchHandler {
  #status = 0
  #headers: Headers = {}
  #chunks: Buffer[] = []
  #length = 0
  readonly #resolve: (answer: TextAnswer) => void
  readonly #reject: (err: Error) => void

  constructor(resolve: (answer: TextAnswer) => void, reject: (err: Error) => void) {
    this.#resolve = resolve
    this.#reject = reject
  }

  onRequestStart(): void {}

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.#status = status
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#length += chunk.length
    if (this.#length > longestBody) controller.abort(new errors.ResponseExceededMaxSizeError())
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    this.#resolve({ status: this.#status, headers: this.#headers, text: body.toString('utf8') })
  }

  onResponseError(_: Dispatcher.DispatchController, err: Error): void {
    this.#reject(err)
  }
}

/** Where base URLs lead; parsed once, as there are few. */
const places = new Map<string, { origin: string; path: string }>()

function placeOf(baseUrl: string): { origin: string; path: string } {
  const known = places.get(baseUrl)
  if (known) return known
  if (places.size >= 1_000) places.clear()
  const { origin, pathname } = new URL(baseUrl)
  const place = { origin, path: pathname.replace(/\/$/, '') }
  places.set(baseUrl, place)
  return place
}

/** A GET, or with a body a POST of JSON. @throws an UndiciError, or what the socket threw */
export function getText(
  agent: Agent,
  baseUrl: string,
  path: string,
  apiKey: string,
  timeoutMs: number,
  body: string | null = null,
): Promise<TextAnswer> {
  return new Promise((resolve, reject) => {
    const place = placeOf(baseUrl)
    const headers = {
      authorization: `Bearer ${apiKey}`,
      ...(body === null ? {} : { 'content-type': 'application/json' }),
    }
    const method = body === null ? 'GET' : 'POST'
    agent.dispatch(
      {
        origin: place.origin,
        path: place.path + path,
        method,
        body,
        headers,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      },
      new Collecting(resolve, reject),
    )
  })
}
