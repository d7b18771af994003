/**
 * One connection to nats-server: it is opened however long that takes, reconnects for ever, and
 * notices a silent server within seconds.
 */
import { connect, ErrorCode, Events, NatsError, type NatsConnection } from 'nats'
import { sleep } from '#libs/runtime/clock.ts'
import type { NatsSettings } from '#libs/runtime/config.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { connectionOptions } from './auth.ts'
import { inboxPrefix, type NatsUser } from './permissions.ts'

const oldestServer = [2, 12, 1] as const

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

/** Between two tries to open a connection. */
const tryAgainMs = 500

export async function openLink({
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

/** Whether the connection stands now, and whom to call after it was made again. */
export interface Link {
  isConnected(): boolean
  listeners: (() => void)[]
}

export function watchLink(nc: NatsConnection, log: Logger): Link {
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

const closing = new Set<string>([ErrorCode.ConnectionDraining, ErrorCode.ConnectionClosed])

/**
 * For what nobody waits for. A connection that is being closed sends nothing more: what was not
 * told is found again as after a death, so that is no error of who tells it.
 */
export function tell(send: () => unknown): void {
  try {
    send()
  } catch (err) {
    if (!(err instanceof NatsError && closing.has(err.code))) throw err
  }
}

/** @throws for a server that ignores what is asked of it */
export function requireVersion(version: string): void {
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
