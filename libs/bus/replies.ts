/**
 * Requests, as many at once as the caller likes, over one reply inbox: what is asked, or stored in
 * JetStream, is matched to its answer by the last token of its reply subject. The client's own
 * `request` and `publish` take a timer and a captured stack each: 40 µs of CPU where this takes
 * 5–10.
 */
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from 'nats'
import { bootMs } from '#libs/runtime/clock.ts'
import { BusUnavailable, NotDelivered, type Stored } from './bus.ts'

/** The server's refusal, by JetStream's number for it. */
export class StoreRefused extends Error {
  override name = 'StoreRefused'
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

interface Pending {
  subject: string
  deadline: number
  resolve(answer: Msg): void
  reject(err: Error): void
}

interface PubAck {
  seq?: number
  error?: { err_code?: number; description?: string }
}

interface Got {
  /** Data and headers in base64. */
  message?: { subject: string; seq: number; data?: string; hdrs?: string }
  error?: PubAck['error']
}

/** The server's own answer is empty. */
const noResponders = 503
const unanswered = (subject: string, code: number | undefined): BusUnavailable =>
  code === noResponders
    ? new NotDelivered(`nobody listens on ${subject}`)
    : new BusUnavailable(`no answer on ${subject}: ${code ?? 'empty'}`)

/** How late a time-out may be found. */
const sweepMs = 200

export class Replies {
  readonly #nc: NatsConnection
  readonly #inbox: string
  readonly #pending = new Map<string, Pending>()
  #next = 0
  #sweeping: NodeJS.Timeout | undefined

  /** `prefix`: of the inbox, where the user may subscribe to no other. */
  constructor(nc: NatsConnection, prefix?: string) {
    this.#nc = nc
    this.#inbox = createInbox(prefix)
    nc.subscribe(`${this.#inbox}.*`, {
      callback: (err, message) => {
        if (err) return
        const token = message.subject.slice(this.#inbox.length + 1)
        const pending = this.#pending.get(token)
        if (!pending) return
        this.#pending.delete(token)
        if (this.#pending.size === 0) this.#rest()
        if (message.data.length === 0)
          return pending.reject(unanswered(pending.subject, message.headers?.code))
        pending.resolve(message)
      },
    })
  }

  /** The sequence it was stored under. @throws StoreRefused, BusUnavailable */
  async store(
    subject: string,
    data: string | Uint8Array,
    headers: MsgHdrs | undefined,
    timeoutMs: number,
  ): Promise<number> {
    const { seq, error } = (await this.ask(subject, data, timeoutMs, headers)).json<PubAck>()
    if (error || seq === undefined)
      throw new StoreRefused(
        error?.err_code ?? 0,
        error?.description ?? 'no sequence in the answer',
      )
    return seq
  }

  /** The newest message of a subject, from the leader. @throws StoreRefused, BusUnavailable */
  async newest(stream: string, subject: string, timeoutMs: number): Promise<Stored> {
    const question = JSON.stringify({ last_by_subj: subject })
    const answer = await this.ask(`$JS.API.STREAM.MSG.GET.${stream}`, question, timeoutMs)
    const { message, error } = answer.json<Got>()
    if (error || !message)
      throw new StoreRefused(error?.err_code ?? 0, error?.description ?? 'no message in the answer')
    const lines = Buffer.from(message.hdrs ?? '', 'base64')
      .toString()
      .split('\r\n')
    return {
      subject: message.subject,
      sequence: message.seq,
      data: Buffer.from(message.data ?? '', 'base64'),
      header: (name) => {
        const line = lines.find((one) => one.startsWith(`${name}:`))
        return line?.slice(name.length + 1).trim() || undefined
      },
    }
  }

  /** @throws BusUnavailable */
  ask(
    subject: string,
    data: string | Uint8Array,
    timeoutMs: number,
    headers?: MsgHdrs,
  ): Promise<Msg> {
    return new Promise((resolve, reject) => {
      const token = (this.#next++).toString(36)
      this.#nc.publish(
        subject,
        data,
        headers
          ? { reply: `${this.#inbox}.${token}`, headers }
          : { reply: `${this.#inbox}.${token}` },
      )
      this.#pending.set(token, {
        subject,
        deadline: bootMs() + timeoutMs,
        resolve,
        reject,
      })
      this.#sweeping ??= setTimeout(() => this.#sweep(), sweepMs)
    })
  }

  /** Nobody waits: a timer would only wake the process. */
  #rest(): void {
    clearTimeout(this.#sweeping)
    this.#sweeping = undefined
  }

  #sweep(): void {
    const now = bootMs()
    const closed = this.#nc.isClosed()
    for (const [token, { subject, deadline, reject }] of this.#pending) {
      if (now < deadline && !closed) continue
      this.#pending.delete(token)
      reject(new BusUnavailable(`no answer on ${subject}: time-out`))
    }
    this.#sweeping = this.#pending.size ? setTimeout(() => this.#sweep(), sweepMs) : undefined
  }
}
