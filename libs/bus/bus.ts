/**
 * The port to the broker: what this system needs of NATS, and no more. `connect.ts` is it on a real
 * server; the simulation has one in memory, held to the same behaviour by running the same
 * operations on both.
 *
 * A call that throws BusUnavailable may or may not have been carried out.
 */

/**
 * NATS, or the service that should answer, is away. Nothing is known of whether the request was
 * carried out.
 */
export class BusUnavailable extends Error {
  override name = 'BusUnavailable'
}

/** The request reached nobody: it was certainly not carried out. */
export class NotDelivered extends BusUnavailable {}

/** The subject's newest message is not the expected one: nothing was stored. */
export class Conflict extends Error {
  override name = 'Conflict'
}

/** A job of this kind for this video is queued or in hand: nothing was stored. */
export class AlreadyQueued extends Error {
  override name = 'AlreadyQueued'
}

export interface Stored {
  subject: string
  sequence: number
  data: Uint8Array
  header(name: string): string | undefined
}

export interface StreamState {
  ageMs: number
  generation: number
  /** Of the oldest message kept; one above the newest where none is kept. */
  firstSequence: number
  lastSequence: number
}

export interface StoreOptions {
  headers?: Record<string, string>
  /**
   * Stored only if this is the sequence of the newest message of `subject` (of the message's own,
   * unless given); 0: there is none.
   */
  expect?: { sequence: number; subject?: string }
  timeoutMs?: number
}

/** A message of a work queue, redelivered until acknowledged or terminated. */
export interface Job extends Stored {
  /** 1 at first. */
  deliveries: number
  ack(): void
  /** Deliver again after `ms`, in whole milliseconds: a fraction is rounded up. */
  nak(ms: number): void
  /** Never deliver again. */
  term(): void
  /** Still in hand: do not deliver it to somebody else yet. */
  working(): void
}

export interface CoreMessage {
  subject: string
  data: Uint8Array
  /** Answers a request; nothing where none was asked. */
  respond(body: unknown): void
}

export interface Consuming extends AsyncDisposable {
  isHealthy(): boolean
}

export interface Bus {
  isConnected(): boolean
  /** Calls back after every reconnect. */
  onReconnect(listener: () => void): void
  /**
   * What arrives now was sent by the server at most so many milliseconds ago: seconds, unless this
   * process or its connection stood still meanwhile.
   */
  mostDelayMs(): number
  /** Asks whoever serves `subject`; the parsed JSON answer. @throws BusUnavailable */
  request(subject: string, body: unknown, timeoutMs?: number): Promise<unknown>
  /** Tells whoever listens now; nobody is told later. */
  publishCore(subject: string, body: unknown): void
  /** Core messages; with a queue, shared among its members. */
  subscribe(
    subject: string,
    queue: string | null,
    listener: (message: CoreMessage) => void,
  ): { stop(): void }

  /**
   * Stores a message in the stream of its subject; its sequence. @throws Conflict, AlreadyQueued,
   * BusUnavailable
   */
  store(subject: string, data: string | Uint8Array, options?: StoreOptions): Promise<number>
  /**
   * The newest message of a subject (wildcards allowed), from the stream's leader; null when there
   * is none.
   */
  newest(stream: string, subject: string): Promise<Stored | null>
  /**
   * The newest message of each subject that fits the filter, all of them; without their bodies, if
   * `headersOnly`. @throws BusUnavailable when the list was broken off
   */
  newestOfEach(stream: string, filter: string, headersOnly?: boolean): Promise<Stored[]>
  /**
   * How long ago a stream was made, in ms by the server's clock, as which generation, and the
   * sequences of its oldest message kept and of its newest ever.
   */
  stateOf(stream: string): Promise<StreamState>
  /**
   * Feeds `onMessage` from a durable consumer, one after another (it may start work and return), at
   * most `maxMessages` fetched ahead. Survives the loss of the server and of the stream. Disposing
   * stops taking and waits for the call in hand.
   */
  consume(
    stream: string,
    consumer: string,
    maxMessages: number,
    onMessage: (job: Job) => Promise<void>,
  ): Consuming
  drain(): Promise<void>
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** The parsed JSON of a message. @throws SyntaxError or TypeError when it is none */
export const jsonOf = (message: { data: Uint8Array }): unknown =>
  JSON.parse(decoder.decode(message.data))
