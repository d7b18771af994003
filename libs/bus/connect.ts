/**
 * One NATS connection. It reconnects for ever, notices a silent server within seconds, and never queues requests
 * for later: while disconnected they fail at once with BusUnavailable.
 */
import { connect, ErrorCode, Events, NatsError } from 'nats'
import type { JetStreamClient, JetStreamManager, NatsConnection } from 'nats'
import type { Logger } from '#libs/runtime/logger.ts'

/** NATS, or the service that should answer, is away. Nothing is known of whether the request was carried out. */
export class BusUnavailable extends Error {
  override name = 'BusUnavailable'
}

export interface Bus {
  readonly nc: NatsConnection
  readonly js: JetStreamClient
  isConnected(): boolean
  /** Resolves the JetStream management client; not cached at connect, as NATS may be away then. */
  manager(): Promise<JetStreamManager>
  /** Calls back after every reconnect. */
  onReconnect(listener: () => void): void
  /** Asks whoever serves `subject`; the parsed JSON answer. @throws BusUnavailable */
  request(subject: string, body: unknown, timeoutMs?: number): Promise<unknown>
  publishCore(subject: string, body: unknown): void
  drain(): Promise<void>
}

const oldestServer = [2, 12, 1] as const

export async function connectBus(options: { url: string; name: string; log: Logger }): Promise<Bus> {
  const nc = await connect({
    servers: options.url.split(','),
    name: options.name,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    pingInterval: 2_000,
    maxPingOut: 2,
    timeout: 3_000,
  })
  requireVersion(nc.info?.version ?? '0.0.0')
  let connected = true
  const listeners: (() => void)[] = []
  void (async () => {
    for await (const status of nc.status()) {
      if (status.type === Events.Disconnect) {
        connected = false
        options.log.warn('nats disconnected')
      }
      if (status.type === Events.Reconnect) {
        connected = true
        options.log.info('nats reconnected')
        for (const listener of listeners) listener()
      }
    }
  })()
  const isConnected = () => connected && !nc.isClosed()
  return {
    nc,
    js: nc.jetstream({ timeout: 5_000 }),
    isConnected,
    manager: () => nc.jetstreamManager({ checkAPI: false, timeout: 5_000 }),
    onReconnect: (listener) => void listeners.push(listener),
    async request(subject, body, timeoutMs = 5_000) {
      if (!isConnected()) throw new BusUnavailable('NATS is not connected')
      try {
        const reply = await nc.request(subject, JSON.stringify(body), { timeout: timeoutMs })
        return reply.json()
      } catch (err) {
        if (err instanceof NatsError && unavailable.has(err.code)) throw new BusUnavailable(`no answer on ${subject}: ${err.code}`)
        throw err
      }
    },
    publishCore(subject, body) {
      if (isConnected()) nc.publish(subject, JSON.stringify(body))
    },
    async drain() {
      if (nc.isClosed()) return
      if (isConnected()) await Promise.race([nc.drain().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 2_000).unref())])
      await nc.close()
    },
  }
}

const unavailable = new Set<string>([
  ErrorCode.NoResponders, ErrorCode.Timeout, ErrorCode.ConnectionClosed, ErrorCode.ConnectionDraining, ErrorCode.Disconnect, ErrorCode.ConnectionTimeout,
])

function requireVersion(version: string): void {
  const parts = version.split(/[.-]/).slice(0, 3).map(Number)
  for (const [i, need] of oldestServer.entries()) {
    const have = parts[i] ?? 0
    if (have > need) return
    if (have < need) throw new Error(`nats-server ${version} is too old: Reelkeeper needs ${oldestServer.join('.')} or later`)
  }
}
