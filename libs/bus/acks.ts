/**
 * Stores to JetStream, as many at once as the caller likes, over one reply inbox: what is published
 * is matched to the server's answer by the last token of its reply subject. The client's own
 * `publish` makes a request of each, with a timer and a captured stack: 40 µs of CPU where this
 * takes 5–10.
 */
import { createInbox, type MsgHdrs, type NatsConnection } from 'nats'
import { bootMs } from '#libs/runtime/clock.ts'
import { BusUnavailable } from './bus.ts'

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
  resolve(sequence: number): void
  reject(err: Error): void
}

interface PubAck {
  seq?: number
  error?: { err_code?: number; description?: string }
}

/** How late a time-out may be found. */
const sweepMs = 200

export class Acks {
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
        if (message.data.length === 0)
          return pending.reject(
            new BusUnavailable(
              `no answer on ${pending.subject}: ${message.headers?.code ?? 'empty'}`,
            ),
          )
        const { seq, error } = message.json<PubAck>()
        if (error || seq === undefined)
          pending.reject(
            new StoreRefused(
              error?.err_code ?? 0,
              error?.description ?? 'no sequence in the answer',
            ),
          )
        else pending.resolve(seq)
      },
    })
  }

  /** The sequence it was stored under. @throws StoreRefused, BusUnavailable */
  store(
    subject: string,
    data: string | Uint8Array,
    headers: MsgHdrs | undefined,
    timeoutMs: number,
  ): Promise<number> {
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
