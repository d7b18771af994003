/**
 * One HTTP exchange in the simulated world, played to undici's handler: as long as its process
 * lives and is awake, with undici's patience for a silent server.
 */
import type { Dispatcher } from 'undici'
import type { Process } from './world.ts'

/** What a server does with one request. */
export interface Played {
  /** Before the head. */
  delayMs: number
  /** Instead of any answer. */
  error?: string
  /** Never says a word. */
  isSilent?: boolean
  status: number
  headers: Record<string, string>
  chunks: Buffer[]
  /** Between two pieces. */
  gapMs: number
  /** After the last piece. */
  ends: 'whole' | 'reset' | 'never'
}

const withCode = (code: string) => Object.assign(new Error(code), { code })

export class Exchange implements Dispatcher.DispatchController {
  aborted = false
  paused = false
  reason: Error | null = null
  readonly #process: Process
  readonly #handler: Dispatcher.DispatchHandler
  readonly #played: Played
  readonly #patience: { headersMs: number; bodyMs: number }
  #next: () => void = () => {}
  #silence: () => void = () => {}
  #isOver = false

  constructor(
    process: Process,
    handler: Dispatcher.DispatchHandler,
    played: Played,
    patience: { headersMs: number; bodyMs: number },
  ) {
    this.#process = process
    this.#handler = handler
    this.#played = played
    this.#patience = patience
    handler.onRequestStart?.(this, null)
    this.#hear(patience.headersMs, 'UND_ERR_HEADERS_TIMEOUT')
    if (!played.isSilent) this.#after(played.delayMs, () => this.#head())
  }

  abort(reason: Error): void {
    this.aborted = true
    this.#fail(reason)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#next()
  }

  #after(ms: number, act: () => void): void {
    this.#process.world.schedule(ms, this.#process, () => {
      if (this.#isOver || this.#process.isolated) return
      this.#next = () => {}
      if (this.paused) this.#next = act
      else act()
    })
  }

  /** Silence for so long breaks it from now on. */
  #hear(ms: number, code: string): void {
    this.#silence()
    this.#silence = this.#process.clock.after(ms, () => this.#fail(withCode(code)))
  }

  #head(): void {
    const { error, status, headers, gapMs } = this.#played
    if (error) return this.#fail(withCode(error))
    this.#hear(this.#patience.bodyMs, 'UND_ERR_BODY_TIMEOUT')
    this.#handler.onResponseStart?.(this, status, headers)
    this.#after(gapMs, () => this.#piece(0))
  }

  #piece(nth: number): void {
    const { chunks, gapMs, ends } = this.#played
    const chunk = chunks[nth]
    if (chunk) {
      this.#hear(this.#patience.bodyMs, 'UND_ERR_BODY_TIMEOUT')
      this.#handler.onResponseData?.(this, chunk)
      return this.#after(gapMs, () => this.#piece(nth + 1))
    }
    if (ends === 'never') return
    if (ends === 'reset') return this.#fail(withCode('UND_ERR_SOCKET'))
    this.#isOver = true
    this.#silence()
    this.#handler.onResponseEnd?.(this, {})
  }

  #fail(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#silence()
    this.reason = error
    this.#handler.onResponseError?.(this, error)
  }
}
