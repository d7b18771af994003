/**
 * Our services around a lab: status, any number of pollers, the reconciler, and what can be read
 * off them.
 */
import { connect } from 'nats'
import { freePort } from '#services/dev/servers/ports.ts'
import { connectBus } from '#libs/bus/connect.ts'
import { publishWork } from '#libs/bus/work.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { pollWorkSubject } from '#libs/scene-video/messages.ts'
import { metric, type Lab } from './lab.ts'
import type { Worker } from './processes.ts'

export interface Poller {
  worker: Worker
  healthPort: number
}

export async function startPoller(
  lab: Lab,
  name: string,
  more: Record<string, string> = {},
): Promise<Poller> {
  const healthPort = await freePort()
  return {
    worker: await lab.service('poller', {
      POLLER_NAME: name,
      HEALTH_PORT: String(healthPort),
      ...more,
    }),
    healthPort,
  }
}

export const owned = (poller: Poller) => metric(poller.healthPort, 'owned_videos')

export async function untilOwned(
  pollers: Poller[],
  count: number,
  say: (line: string) => void = () => {},
  timeoutMs = 300_000,
): Promise<void> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const counts = await Promise.all(pollers.map(owned))
    const total = counts.reduce((sum, one) => sum + one, 0)
    say(`${total}/${count} owned`)
    if (total >= count) return
    if (performance.now() > end)
      throw new Error(
        `only ${total} of ${count} owned: ${pollers.map((one) => one.worker.output.slice(-500)).join('\n')}`,
      )
    await sleep(100)
  }
}

/** Cumulative counts of the lateness histogram, by upper bound in seconds. */
export async function latenessBuckets(poller: Poller): Promise<Map<number, number>> {
  const text = await (await fetch(`http://127.0.0.1:${poller.healthPort}/metrics`)).text()
  return new Map(
    [...text.matchAll(/^reelkeeper_poll_lateness_seconds_bucket\{le="([^"]+)"\} (\d+)/gm)].map(
      ([, le, count]) => [le === '+Inf' ? Infinity : Number(le), Number(count)],
    ),
  )
}

/** The smallest bound, in ms, under which that share of the polls between two readings was. */
export function latenessBelow(
  share: number,
  before: Map<number, number>,
  after: Map<number, number>,
): number {
  const total = after.get(Infinity)! - (before.get(Infinity) ?? 0)
  for (const [bound, count] of after)
    if (count - (before.get(bound) ?? 0) >= share * total) return bound * 1000
  return Infinity
}

/** Counts what is written to the bucket of the leases, until stopped. */
export async function leaseWrites(lab: Lab): Promise<{ stop(): Promise<number> }> {
  const nc = await connect({ servers: lab.nats.url })
  let count = 0
  nc.subscribe('$KV.OWNERSHIP.>', { callback: () => count++ })
  await nc.flush()
  return {
    async stop() {
      await nc.close()
      return count
    },
  }
}

/** Adds videos as submit does: the rows, and for each work for whichever poller takes it. */
export async function openSubmitter(
  lab: Lab,
): Promise<{ submit(tasks: string[]): Promise<void> } & AsyncDisposable> {
  const bus = await connectBus({
    config: { NATS_URL: lab.nats.url },
    name: 'bench',
    log: createLogger('bench', 'silent'),
  })
  const atOnce = 500
  return {
    async submit(tasks) {
      const ids = await lab.addVideos(tasks)
      for (let from = 0; from < ids.length; from += atOnce)
        await Promise.all(
          ids.slice(from, from + atOnce).map((id) => publishWork(bus, pollWorkSubject(id), { id })),
        )
    },
    [Symbol.asyncDispose]: () => bus.drain(),
  }
}
