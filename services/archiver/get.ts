/**
 * One GET whose body goes from the socket to whoever reads it, without a stream between: a stream
 * of undici costs as much CPU as all the rest of a download. Whoever reads slowly slows the sender;
 * no more than about 256 KiB of it wait in memory, and less while many are received at once.
 */
import type { Dispatcher } from 'undici'
import { pieceCosts } from '#libs/files/pieces.ts'

export interface GetOptions {
  dispatcher: Pick<Dispatcher, 'dispatch'>
  headers: Record<string, string>
  /** Silence for this long, before or within the body, breaks the connection. */
  stallMs: number
  signal: AbortSignal
}

export interface Body extends AsyncIterable<Buffer> {
  /** Closes the connection; for whoever does not read to the end. */
  cancel(): void
}

type Headers = Record<string, string | string[] | undefined>
export interface Got {
  statusCode: number
  headers: Headers
  body: Body
}

/** Of all bodies together, as far as each has at least the least. */
const heldBytes = 8 * 1024 * 1024
const [leastHeld, mostHeld] = [64 * 1024, 256 * 1024]
let receiving = 0
const mayHold = () => Math.max(leastHeld, Math.min(mostHeld, heldBytes / receiving))

/** Settles with the answer's head. @throws undici's errors, or the signal's reason */
export function get(url: URL, { dispatcher, headers, stallMs, signal }: GetOptions): Promise<Got> {
  const receiver = new Receiver(signal)
  const { origin, pathname, search } = url
  const path = pathname + search
  const patience = { headersTimeout: stallMs, bodyTimeout: stallMs }
  dispatcher.dispatch({ origin, path, method: 'GET', headers, ...patience }, receiver)
  return receiver.head
}

class Receiver implements Dispatcher.DispatchHandler, Body {
  readonly #head = Promise.withResolvers<Got>()
  readonly #signal: AbortSignal
  readonly #onAbort = () => this.#fail(this.#signal.reason as Error)
  #controller: Dispatcher.DispatchController | null = null
  #chunks: Buffer[] = []
  #held = 0
  #hasEnded = false
  #isCounted = false
  #error: Error | null = null
  #wake = () => {}

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort, { once: true })
    if (signal.aborted) this.#onAbort()
  }

  get head(): Promise<Got> {
    return this.#head.promise
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#error) controller.abort(this.#error)
  }

  onResponseStart(_: Dispatcher.DispatchController, statusCode: number, headers: Headers): void {
    if (statusCode < 200) return
    this.#count(this.#error === null)
    this.#head.resolve({ statusCode, headers, body: this })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#held += chunk.length + pieceCosts
    if (this.#held >= mayHold()) controller.pause()
    this.#wake()
  }

  onResponseEnd(): void {
    this.#hasEnded = true
    this.#settle()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#error ??= error
    this.#head.reject(this.#error)
    this.#settle()
  }

  cancel(): void {
    if (!this.#hasEnded) this.#fail(new Error('not read to its end'))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        const chunks = this.#chunks
        this.#chunks = []
        this.#held = 0
        if (this.#controller?.paused) this.#controller.resume()
        yield* chunks.values()
        if (this.#chunks.length > 0) continue
        if (this.#error) throw this.#error
        if (this.#hasEnded) return
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      this.cancel()
    }
  }

  #fail(error: Error): void {
    this.#error ??= error
    this.#head.reject(this.#error)
    this.#controller?.abort(this.#error)
    this.#settle()
  }

  #count(isReceiving: boolean): void {
    if (isReceiving !== this.#isCounted) receiving += isReceiving ? 1 : -1
    this.#isCounted = isReceiving
  }

  #settle(): void {
    this.#count(false)
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#wake()
  }
}
