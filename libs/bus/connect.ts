/**
 * The broker port on a real nats-server. While disconnected nothing is queued for later: requests
 * fail at once with BusUnavailable.
 */
import {
  headers,
  type JetStreamClient,
  type JetStreamManager,
  type MsgHdrs,
  type NatsConnection,
} from 'nats'
import { sleep } from '#libs/runtime/clock.ts'
import { NotDelivered, type Bus } from './bus.ts'
import { consumeLoop } from './consume.ts'
import { watchDelay } from './delay.ts'
import {
  openLink,
  requireVersion,
  tell,
  watchLink,
  type ConnectOptions,
  type Link,
} from './link.ts'
import { newestOfEach } from './newest-of-each.ts'
import { inboxPrefix } from './permissions.ts'
import { isNoMessage, notStored, translated } from './refusals.ts'
import { Replies } from './replies.ts'
import { versioned } from './version.ts'

/** With what only the makers of streams and the readers of events need. */
export interface NatsBus extends Bus {
  readonly js: JetStreamClient
  /** Resolves the JetStream management client; not cached at connect, as NATS may be away then. */
  manager(): Promise<JetStreamManager>
}

const requestTimeoutMs = 5_000
const storeTimeoutMs = 5_000

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
  const replies = new Replies(nc, user && inboxPrefix(user))
  const link = watchLink(nc, log)
  const over = new AbortController()
  const manager = () => nc.jetstreamManager({ checkAPI: false, timeout: requestTimeoutMs })
  return {
    js,
    manager,
    isConnected: link.isConnected,
    onReconnect: (listener) => void link.listeners.push(listener),
    mostDelayMs: watchDelay(nc, link, over.signal),
    ...coreMessages(nc, replies, link),
    ...storedMessages(replies, { js, manager }, link),
    consume: (stream, consumer, maxMessages, onMessage) =>
      consumeLoop(js, { stream, consumer, maxMessages, log }, onMessage),
    async drain() {
      over.abort()
      if (nc.isClosed()) return
      if (link.isConnected()) await Promise.race([nc.drain().catch(() => {}), sleep(2_000)])
      await nc.close()
    },
  }
}

function requireLink(link: Link): void {
  if (!link.isConnected()) throw new NotDelivered('NATS is not connected')
}

/** What reaches who listens now. */
function coreMessages(
  nc: NatsConnection,
  replies: Replies,
  link: Link,
): Pick<Bus, 'request' | 'publishCore' | 'subscribe'> {
  return {
    async request(subject, body, timeoutMs = requestTimeoutMs) {
      requireLink(link)
      try {
        return (await replies.ask(subject, versioned(body), timeoutMs)).json()
      } catch (err) {
        throw translated(err, subject)
      }
    },
    publishCore(subject, body) {
      if (link.isConnected()) tell(() => nc.publish(subject, JSON.stringify(body)))
    },
    subscribe(subject, queue, listener) {
      const subscription = nc.subscribe(subject, {
        ...(queue ? { queue } : {}),
        callback: (err, message) => {
          if (!err)
            listener({
              subject: message.subject,
              data: message.data,
              respond: (body) => tell(() => message.respond(JSON.stringify(body))),
            })
        },
      })
      return { stop: () => subscription.unsubscribe() }
    },
  }
}

/** What streams keep. */
function storedMessages(
  replies: Replies,
  { js, manager }: Pick<NatsBus, 'js' | 'manager'>,
  link: Link,
): Pick<Bus, 'store' | 'newest' | 'newestOfEach' | 'stateOf'> {
  return {
    async store(subject, data, { headers: fields, expect, timeoutMs = storeTimeoutMs } = {}) {
      requireLink(link)
      try {
        return await replies.store(
          subject,
          data,
          fields || expect ? toHeaders(fields ?? {}, expect) : undefined,
          timeoutMs,
        )
      } catch (err) {
        throw notStored(err, subject)
      }
    },
    async newest(stream, subject) {
      requireLink(link)
      try {
        return await replies.newest(stream, subject, requestTimeoutMs)
      } catch (err) {
        if (isNoMessage(err)) return null
        throw translated(err, subject)
      }
    },
    async newestOfEach(stream, filter, headersOnly = false) {
      requireLink(link)
      return newestOfEach(js, stream, { filter, headersOnly }).catch((err: unknown) => {
        throw translated(err, filter)
      })
    },
    async stateOf(stream) {
      requireLink(link)
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
  }
}

function toHeaders(
  fields: Record<string, string>,
  expect?: { sequence: number; subject?: string },
): MsgHdrs {
  const head = headers()
  for (const [name, value] of Object.entries(fields)) head.append(name, value)
  if (expect) head.append('Nats-Expected-Last-Subject-Sequence', String(expect.sequence))
  if (expect?.subject) head.append('Nats-Expected-Last-Subject-Sequence-Subject', expect.subject)
  return head
}
