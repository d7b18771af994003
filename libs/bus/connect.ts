/**
 * The broker port on a real nats-server. One connection: it reconnects for ever, notices a silent
 * server within seconds, and never queues requests for later: while disconnected they fail at once
 * with BusUnavailable.
 */
import {
  connect,
  ErrorCode,
  Events,
  headers,
  NatsError,
  type ConsumerMessages,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  type MsgHdrs,
  type NatsConnection,
} from 'nats'
import { sleep, systemClock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { NatsSettings } from '#libs/runtime/config.ts'
import { Acks, StoreRefused } from './acks.ts'
import { connectionOptions } from './auth.ts'
import {
  AlreadyQueued,
  BusUnavailable,
  Conflict,
  type Bus,
  type Consuming,
  type Job,
} from './bus.ts'
import { newestOfEach } from './newest-of-each.ts'
import { inboxPrefix, type NatsUser } from './permissions.ts'

/** With what only the makers of streams and the readers of events need. */
export interface NatsBus extends Bus {
  readonly js: JetStreamClient
  /** Resolves the JetStream management client; not cached at connect, as NATS may be away then. */
  manager(): Promise<JetStreamManager>
}

const oldestServer = [2, 12, 1] as const
const requestTimeoutMs = 5_000
const storeTimeoutMs = 5_000

/** JetStream's numbers for what a caller has to tell apart. */
const conflictCodes = new Set([10071, 10164])
const alreadyQueuedCode = 10077
const noMessageCode = 10037
const unavailable = new Set<string>([
  ErrorCode.NoResponders,
  ErrorCode.Timeout,
  ErrorCode.ConnectionClosed,
  ErrorCode.ConnectionDraining,
  ErrorCode.Disconnect,
  ErrorCode.ConnectionTimeout,
  ErrorCode.JetStream408RequestTimeout,
])
const apiCode = (err: unknown) =>
  err instanceof StoreRefused
    ? err.code
    : err instanceof NatsError
      ? (err.api_error?.err_code ?? 0)
      : 0

/** The port's word for what the client threw. */
function translated(err: unknown, what: string): unknown {
  if (conflictCodes.has(apiCode(err))) return new Conflict(what)
  if (apiCode(err) === alreadyQueuedCode) return new AlreadyQueued(what)
  if (err instanceof NatsError && unavailable.has(err.code))
    return new BusUnavailable(`no answer on ${what}: ${err.code}`)
  return err
}

export interface ConnectOptions {
  config: NatsSettings
  /** Whose permissions this connection has; without one its inbox is the client's default. */
  user?: NatsUser
  /** For people. */
  name: string
  log: Logger
  /** False: throw when NATS is away. */
  patient?: boolean
  /** Ends the waiting: it throws then. */
  signal?: AbortSignal
}

/** Waits for NATS however long it takes; with `patient: false` it throws when NATS is away. */
export async function connectBus(options: ConnectOptions): Promise<NatsBus> {
  const { log, user } = options
  const nc = await openLink(options)
  try {
    requireVersion(nc.info?.version ?? '0.0.0')
  } catch (err) {
    await nc.close()
    throw err
  }
  const js = nc.jetstream({ timeout: storeTimeoutMs })
  const acks = new Acks(nc, user && inboxPrefix(user))
  const link = watchLink(nc, log)
  const manager = () => nc.jetstreamManager({ checkAPI: false, timeout: requestTimeoutMs })
  const requireLink = () => {
    if (!link.isConnected()) throw new BusUnavailable('NATS is not connected')
  }

  return {
    js,
    manager,
    isConnected: link.isConnected,
    onReconnect: (listener) => void link.listeners.push(listener),
    async request(subject, body, timeoutMs = requestTimeoutMs) {
      requireLink()
      try {
        return (await nc.request(subject, JSON.stringify(body), { timeout: timeoutMs })).json()
      } catch (err) {
        throw translated(err, subject)
      }
    },
    publishCore(subject, body) {
      if (link.isConnected()) nc.publish(subject, JSON.stringify(body))
    },
    subscribe(subject, queue, listener) {
      const subscription = nc.subscribe(subject, {
        ...(queue ? { queue } : {}),
        callback: (err, message) => {
          if (!err)
            listener({
              subject: message.subject,
              data: message.data,
              respond: (body) => void message.respond(JSON.stringify(body)),
            })
        },
      })
      return { stop: () => subscription.unsubscribe() }
    },
    async store(subject, data, { headers: fields, expect, timeoutMs = storeTimeoutMs } = {}) {
      requireLink()
      try {
        return await acks.store(
          subject,
          data,
          fields || expect ? toHeaders(fields ?? {}, expect) : undefined,
          timeoutMs,
        )
      } catch (err) {
        throw translated(err, subject)
      }
    },
    async newest(stream, subject) {
      requireLink()
      try {
        const message = await (
          await manager()
        ).streams.getMessage(stream, { last_by_subj: subject })
        return {
          subject: message.subject,
          sequence: message.seq,
          data: message.data,
          header: reader(message.header),
        }
      } catch (err) {
        if (apiCode(err) === noMessageCode) return null
        throw translated(err, subject)
      }
    },
    async newestOfEach(stream, filter, headersOnly = false) {
      requireLink()
      return newestOfEach(js, stream, { filter, headersOnly }).catch((err: unknown) => {
        throw translated(err, filter)
      })
    },
    async stateOf(stream) {
      requireLink()
      const info = (await (await manager()).streams.info(stream)) as {
        created: string
        ts?: string
        config: { metadata?: Record<string, string> }
        state: { first_seq: number; last_seq: number }
      }
      const ageMs = info.ts ? Date.parse(info.ts) - Date.parse(info.created) : Infinity
      return {
        ageMs,
        generation: Number(info.config.metadata?.['generation'] ?? 0),
        firstSequence: info.state.first_seq,
        lastSequence: info.state.last_seq,
      }
    },
    consume: (stream, consumer, maxMessages, onMessage) =>
      consumeLoop(js, { stream, consumer, maxMessages, log }, onMessage),
    async drain() {
      if (nc.isClosed()) return
      if (link.isConnected()) await Promise.race([nc.drain().catch(() => {}), sleep(2_000)])
      await nc.close()
    },
  }
}

/** Between two tries to open a connection or a consumer. */
const [tryAgainMs, openAgainMs] = [500, 250]

async function openLink({
  config,
  user,
  name,
  log,
  patient = true,
  signal,
}: ConnectOptions): Promise<NatsConnection> {
  const options = connectionOptions(config)
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted()
    try {
      return await connect({
        ...options,
        name,
        ...(user ? { inboxPrefix: inboxPrefix(user) } : {}),
        // passwords are changed while services run: whoever comes first waits for the other
        ignoreAuthErrorAbort: true,
        reconnectTimeWait: 250,
        reconnectJitter: 100,
        maxReconnectAttempts: -1,
        pingInterval: 2_000,
        maxPingOut: 2,
        timeout: 3_000,
      })
    } catch (err) {
      if (!patient) throw err
      if (tries % 20 === 2) log.warn({ err }, 'waiting for NATS')
      await sleep(tryAgainMs, signal)
    }
  }
}

function watchLink(
  nc: NatsConnection,
  log: Logger,
): { isConnected(): boolean; listeners: (() => void)[] } {
  let connected = true
  const listeners: (() => void)[] = []
  void (async () => {
    for await (const status of nc.status()) {
      if (status.type === Events.Disconnect) {
        connected = false
        log.warn('nats disconnected')
      }
      if (status.type === Events.Error)
        log.error(
          { reason: status.data, subject: status.permissionContext?.subject },
          'nats refused',
        )
      if (status.type === Events.Reconnect) {
        connected = true
        log.info('nats reconnected')
        for (const listener of listeners) listener()
      }
    }
  })()
  return { isConnected: () => connected && !nc.isClosed(), listeners }
}

function requireVersion(version: string): void {
  const parts = version.split(/[.-]/).slice(0, 3).map(Number)
  for (const [i, need] of oldestServer.entries()) {
    const have = parts[i] ?? 0
    if (have > need) return
    if (have < need)
      throw new Error(
        `nats-server ${version} is too old: Reelkeeper needs ${oldestServer.join('.')} or later`,
      )
  }
}

function toHeaders(
  fields: Record<string, string>,
  expect?: { sequence: number; subject?: string },
): MsgHdrs {
  const head = headers()
  for (const [name, value] of Object.entries(fields)) head.set(name, value)
  if (expect) head.set('Nats-Expected-Last-Subject-Sequence', String(expect.sequence))
  if (expect?.subject) head.set('Nats-Expected-Last-Subject-Sequence-Subject', expect.subject)
  return head
}

const reader = (head: MsgHdrs | undefined) => (name: string) => head?.get(name) || undefined

const toJob = (message: JsMsg): Job => ({
  subject: message.subject,
  sequence: message.seq,
  data: message.data,
  deliveries: message.info.deliveryCount,
  header: reader(message.headers),
  ack: () => message.ack(),
  // the server takes a delay that is no whole number of nanoseconds for none at all
  // rule: delays are whole milliseconds
  nak: (ms) => message.nak(Math.ceil(ms)),
  term: () => message.term(),
  working: () => message.working(),
})

/** Opens the consumer again whenever it ends. */
function consumeLoop(
  js: JetStreamClient,
  options: { stream: string; consumer: string; maxMessages: number; log: Logger },
  onMessage: (job: Job) => Promise<void>,
): Consuming {
  const { stream, consumer: name, maxMessages, log } = options
  const stop = new AbortController()
  let current: ConsumerMessages | undefined
  let healthy = false
  const take = async () => {
    try {
      const consumer = await js.consumers.get(stream, name)
      current = await consumer.consume({
        max_messages: maxMessages,
        idle_heartbeat: 2_000,
        expires: 10_000,
        threshold_messages: Math.max(1, Math.floor(maxMessages / 2)),
      })
      watchForLoss(current)
      healthy = true
      if (stop.signal.aborted) current.stop()
      for await (const message of current) {
        if (stop.signal.aborted) message.nak()
        else await onMessage(toJob(message))
      }
    } finally {
      healthy = false
    }
  }
  const lost = (err: unknown) =>
    log.warn({ err, consumer: name }, 'consumer lost, opening it again')
  const done = every(systemClock, openAgainMs, stop.signal, take, lost, 0)
  return {
    isHealthy: () => healthy,
    async [Symbol.asyncDispose]() {
      stop.abort()
      current?.stop()
      await Promise.race([done, sleep(2_000)])
    },
  }
}

/** Ends an iteration that the server will not feed any more, so that the loop opens it again. */
function watchForLoss(messages: ConsumerMessages): void {
  void (async () => {
    for await (const status of await messages.status()) {
      const missed = status.type === 'heartbeats_missed' && Number(status.data) >= 2
      if (
        missed ||
        status.type === 'consumer_deleted' ||
        status.type === 'consumer_not_found' ||
        status.type === 'stream_not_found'
      )
        messages.stop()
    }
  })().catch(() => {})
}
