import { defaults } from '#services/provider-simulator/settings.ts'
import { crashPoints } from '#libs/runtime/crash-point.ts'
import { pause } from '../../support/system.ts'
import type { Drill } from '../drill.ts'
import { away, crashAt, freeze, kill, loseStore } from '../faults.ts'

/** Those that come by by themselves, whatever else happens. */
const points = crashPoints.filter(
  (point) =>
    !['handoff-offered', 'session-ended', 'mid-batch', 'mid-publish', 'mid-reconcile'].includes(
      point,
    ),
)

export const short: Drill = {
  about: 'a little of everything within a minute and a half, as `npm test` takes it',
  cluster: { pollers: 2, skewMs: 30_000 },
  async run(drilling) {
    const { cluster, users, tell } = drilling
    await cluster.simulator('/settings', {
      minSeconds: 2,
      maxSeconds: 8,
      tier: 'off',
      lookupLagMs: 300,
      faults: { acceptThenReset: 0.03, status500: 0.03 },
    })
    users.begin({
      rate: 4,
      cancel: 0.05,
      retry: 0.1,
      deadline: 0.03,
      prompts: ['a boat', 'a kite', '[fail] a boat'],
    })
    for (const point of points) {
      const fired = await crashAt(cluster, point, 90_000)
      tell(`${point}: ${fired ? 'fired' : 'nobody came by'}`)
      if (!fired) drilling.breaches.push(`nobody came by crash point ${point}`)
    }
    tell('freezing poller-1, status-1 and submit-1 past the lease')
    await Promise.all([
      freeze(cluster, 'poller-1', 9_000),
      freeze(cluster, 'status-1', 9_000),
      freeze(cluster, 'submit-1', 9_000),
    ])
    tell('killing both servers')
    await Promise.all([kill(cluster, 'nats'), kill(cluster, 'postgres')])
    await away(cluster, 'postgres', 2_000)
    tell('losing the NATS store')
    drilling.promises.historyLost = true
    await loseStore(cluster, { between: (low) => low, pick: (items) => items[0]! })
    await pause(8_000)
    await users.stop()
    await cluster.simulator('/settings', {
      lookupLagMs: 0,
      faults: defaults.faults,
    })
    await drilling.judge()
  },
}
