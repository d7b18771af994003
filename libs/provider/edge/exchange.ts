/**
 * One request under way. Its one bound runs from the moment it is asked for to its last byte; what
 * undici has not yet handed to the socket was not sent, and what it has may have been received.
 */
import type { Dispatcher } from 'undici'
import { bootMs } from '#libs/runtime/clock.ts'
import { blankSecrets, redact } from '#libs/net/redact.ts'
import { blockedCode } from '#libs/net/guard.ts'
import type { AbortSignalLike } from '../provider.ts'
import { decodeText, longestBody, unpack } from './decode.ts'
import { mostSmall, type Leave } from './large-turns.ts'

export type Headers = Record<string, string | string[] | undefined>

export interface Outgoing {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  baseUrl: string
  /** Beneath the base URL, with its query. */
  path: string
  headers: Record<string, string>
  body: string | null
  /** From the moment it is asked for to the last byte of the answer. */
  timeoutMs: number
  /** Its answer names the task that was asked for, and is held to that. */
  namesTask?: boolean | undefined
  /** Blanked in the answer's text and in reasons. */
  secrets: readonly string[]
  signal?: AbortSignalLike | undefined
  /** Asked when undici hands the request to the socket; false: not a byte of it is sent. */
  mayWrite?: (() => boolean) | undefined
}

export type Sent =
  | { kind: 'answered'; status: number; headers: Headers; text: string }
  /**
   * `isFinal`: sending it again cannot help (TLS, an address that may not be reached). `isLate`:
   * `mayWrite` said no.
   */
  | { kind: 'not_sent'; reason: string; isFinal: boolean; isLate?: true }
  | { kind: 'lost'; reason: string }
  /** Answered, by more than the bound or in an encoding we do not have. */
  | { kind: 'unreadable'; status: number; reason: string }

const tlsCode =
  /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|EPROTO|ERROR_IN_CERT|CRL_)/

export class Exchange implements Dispatcher.DispatchHandler {
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: Headers = {}
  #chunks: Buffer[] = []
  #length = 0
  #isWritten = false
  #isSettled = false
  /** Of a large answer, once it is its turn. */
  #leave: Leave | null = null
  #isUnpacking = false
  #workedSince = Infinity
  readonly #inTurn: (begin: (leave: Leave) => void) => void
  readonly #timer: NodeJS.Timeout
  readonly #outgoing: Outgoing
  readonly #resolve: (sent: Sent) => void
  readonly #onAbort = () => this.#giveUp('aborted')

  constructor(
    outgoing: Outgoing,
    resolve: (sent: Sent) => void,
    inTurn: (begin: (leave: Leave) => void) => void,
  ) {
    this.#outgoing = outgoing
    this.#resolve = resolve
    this.#inTurn = inTurn
    // rule: one bound on the whole request
    this.#timer = setTimeout(() => this.#giveUp('timed out'), outgoing.timeoutMs)
    if (outgoing.signal?.aborted) queueMicrotask(this.#onAbort)
    else outgoing.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** undici calls it just before it writes the request's first byte. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isSettled) return controller.abort(new Error('given up before it was sent'))
    // rule: the last check is at the socket
    if (this.#outgoing.mayWrite?.() === false) {
      const reason = 'its time to be sent has passed'
      this.#settle({ kind: 'not_sent', reason, isFinal: false, isLate: true })
      return controller.abort(new Error('not sent'))
    }
    this.#isWritten = true
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.#status = status
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isSettled) return
    const before = this.#length
    this.#length += chunk.length
    this.#chunks.push(chunk)
    // rule: a large answer waits for its turn
    if (before <= mostSmall && this.#length > mostSmall) {
      this.#whenMayBeLarge(() => controller.paused && controller.resume())
      if (!this.#leave) controller.pause()
    }
    if (this.#length <= longestBody) return
    this.#settle({
      kind: 'unreadable',
      status: this.#status,
      reason: `its answer is longer than ${longestBody / 1_048_576} MiB`,
    })
    controller.abort(new Error('too long'))
  }

  onResponseEnd(): void {
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    const encoding = this.#headers['content-encoding']?.toString()
    if (encoding === undefined) return this.#answered(bytes)
    void this.#unpack(bytes, encoding)
  }

  async #unpack(bytes: Buffer, encoding: string): Promise<void> {
    this.#isUnpacking = true
    try {
      this.#answered(await this.#unpacked(bytes, encoding))
    } catch (err) {
      this.#settle({
        kind: 'unreadable',
        status: this.#status,
        reason: `its answer cannot be unpacked: ${redact((err as Error).message, this.#outgoing.secrets, 200)}`,
      })
    } finally {
      this.#isUnpacking = false
      if (this.#isSettled) this.#giveBack()
    }
  }

  /** What proves large is unpacked in its turn; never, where it was given up meanwhile. */
  async #unpacked(bytes: Buffer, encoding: string): Promise<Buffer> {
    if (this.#leave) return unpack(bytes, encoding, longestBody)
    try {
      return await unpack(bytes, encoding, mostSmall)
    } catch (err) {
      if ((err as { code?: string }).code !== 'ERR_BUFFER_TOO_LARGE') throw err
    }
    await new Promise<void>((resolve) => this.#whenMayBeLarge(resolve))
    return unpack(bytes, encoding, longestBody)
  }

  #whenMayBeLarge(go: () => void): void {
    this.#inTurn((leave) => {
      if (this.#isSettled) return leave(0)
      this.#leave = leave
      go()
    })
  }

  /** Whoever is told of the answer works on it at once. */
  #giveBack(): void {
    const leave = this.#leave
    if (!leave || this.#isUnpacking) return
    this.#leave = null
    setImmediate(() => leave(bootMs() - this.#workedSince))
  }

  onResponseError(_: Dispatcher.DispatchController, err: Error & { code?: string }): void {
    const code = err.code ?? err.name
    const reason = redact(
      code === 'UND_ERR_SOCKET' ? `${code}: ${err.message}` : code,
      this.#outgoing.secrets,
      200,
    )
    if (this.#isWritten) return this.#settle({ kind: 'lost', reason })
    const isTls = tlsCode.test(code)
    this.#settle({
      kind: 'not_sent',
      reason: isTls
        ? `no secure connection to it (${reason}); its certificate’s authority may be given by PROVIDER_CA`
        : reason,
      isFinal: isTls || code === blockedCode,
    })
  }

  #answered(bytes: Buffer): void {
    if (this.#isSettled) return
    this.#workedSince = bootMs()
    const { secrets } = this.#outgoing
    const text = decodeText(bytes, this.#headers['content-type']?.toString())
    const { location } = this.#headers
    this.#settle({
      kind: 'answered',
      status: this.#status,
      // rule: no key is told in the address of a redirect
      headers: location
        ? { ...this.#headers, location: blankSecrets(location.toString(), secrets) }
        : this.#headers,
      text: blankSecrets(text, secrets),
    })
  }

  #giveUp(reason: string): void {
    this.#settle(
      this.#isWritten ? { kind: 'lost', reason } : { kind: 'not_sent', reason, isFinal: false },
    )
    this.#controller?.abort(new Error(reason))
  }

  #settle(sent: Sent): void {
    if (this.#isSettled) return
    this.#isSettled = true
    clearTimeout(this.#timer)
    this.#outgoing.signal?.removeEventListener('abort', this.#onAbort)
    this.#chunks = []
    this.#resolve(sent)
    this.#giveBack()
  }
}
