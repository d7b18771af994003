/**
 * How old what arrives may be, without comparing clocks. Where somebody wants to know, the server
 * is pinged, every two seconds from when that was asked for first; it answers in the order of what
 * it sends. So whatever arrives after an answer was sent after its ping.
 */
import type { NatsConnection } from 'nats'
import { bootMs, systemClock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Link } from './link.ts'

const pingEveryMs = 2_000

/** Of a connection, until the signal: at most how long ago the server sent what arrives now. */
export function watchDelay(nc: NatsConnection, link: Link, signal: AbortSignal): () => number {
  let sentAfter = bootMs()
  let lost: ((err: Error) => void) | undefined
  // a new connection brings nothing that was sent before it was made
  link.listeners.push(() => {
    sentAfter = bootMs()
    lost?.(new Error('another connection'))
  })
  const ping = async () => {
    if (!link.isConnected()) return
    const at = bootMs()
    const isLost = new Promise<never>((_, reject) => (lost = reject))
    await Promise.race([nc.flush(), isLost])
    sentAfter = Math.max(sentAfter, at)
  }
  let isWatched = false
  return () => {
    if (!isWatched) void every(systemClock, pingEveryMs, signal, ping, () => {}, 0)
    isWatched = true
    return bootMs() - sentAfter
  }
}
