import { until } from '../../support/system.ts'
import type { Drill } from '../drill.ts'
import { loseStore } from '../faults.ts'
import { secondsUntilPolled } from '../polling.ts'

const intervalMs = 5_000

export const storeLost: Drill = {
  about:
    'the whole NATS store is deleted while 10,000 videos are in hand; everything is rebuilt from Postgres',
  cluster: {
    pollers: 3,
    others: 2,
    env: {
      POLL_INTERVAL_MS: String(intervalMs),
      RECONCILE_INTERVAL_MS: '120000',
      STALE_AFTER_MS: '180000',
      CREATE_TIMEOUT_MS: '20000',
      LOOKUP_WINDOW_MS: '60000',
      LOG_LEVEL: 'warn',
    },
  },
  async run(drilling) {
    const { cluster, quick } = drilling
    const count = quick ? 300 : 10_000
    const seconds = quick ? 40 : 330
    await cluster.simulator('/settings', {
      minSeconds: seconds,
      maxSeconds: seconds * 1.2,
      progressStep: 10,
      tier: 'off',
    })
    await drilling.submit(count, quick ? 60 : 90)
    await until(
      'all to be polled',
      async () =>
        (
          await cluster.query<{ n: number }>(
            `SELECT count(*)::int n FROM "SceneVideo" WHERE status = 'pending'`,
          )
        )[0]?.n === 0
          ? true
          : undefined,
      240_000,
    )
    const open = async () =>
      (
        await cluster.query<{ n: number; old: number }>(
          `SELECT count(*)::int n, (count(*) FILTER (WHERE epoch < 2 * 4294967296))::int old FROM "SceneVideo" WHERE status = 'generating'`,
        )
      )[0]!
    drilling.note('videos in hand when the store was deleted', (await open()).n)
    const begun = performance.now()
    await loseStore(cluster, { between: (low) => low, pick: (items) => items[0]! })
    drilling.promises.historyLost = true
    await until(
      'all to be owned in the new bucket',
      async () => ((await open()).old === 0 ? true : undefined),
      180_000,
    )
    drilling.note(
      'from the loss until every video was owned again, s',
      ((performance.now() - begun) / 1000).toFixed(1),
    )
    await secondsUntilPolled(cluster, intervalMs)
    drilling.note(
      'from the loss until 95 % were polled again, s',
      ((performance.now() - begun) / 1000).toFixed(1),
    )
    await drilling.judge(900_000)
  },
}
