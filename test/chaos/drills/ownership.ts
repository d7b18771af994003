import { pause, until } from '../../support/system.ts'
import type { Cluster } from '../cluster.ts'
import type { Drill, Drilling } from '../drill.ts'
import { percentile, pollsSeen } from '../polling.ts'
import { send } from '../processes.ts'

const intervalMs = 5_000

interface Owned {
  id: string
  task: string
  session: string
  epoch: string
}

const ownedNow = (cluster: Cluster) =>
  cluster.query<Owned>(
    `SELECT id, "taskId" task, session, epoch FROM "SceneVideo" WHERE status = 'generating'`,
  )

/** Counts of videos owned, by session. */
const shares = (owned: Owned[]) =>
  [...Map.groupBy(owned, (one) => one.session).values()].map((list) => list.length)

/** What a poller that is no more owned: everything whose session has changed since. */
function moved(before: Owned[], after: Owned[]): Owned[] {
  const sessions = new Set(after.map((one) => one.session))
  return before.filter((one) => !sessions.has(one.session))
}

async function takeover(drilling: Drilling): Promise<void> {
  const { cluster } = drilling
  const before = await ownedNow(cluster)
  const at = Date.now()
  cluster.signal('poller-1', 'SIGKILL')
  await pause(20_000)
  const { polls } = await pollsSeen(cluster)
  const gaps = moved(before, await ownedNow(cluster)).map(
    ({ task }) => (polls[task]!.recent.find((poll) => poll > at) ?? Infinity) - at,
  )
  drilling.note('kill -9: videos taken over', gaps.length)
  for (const share of [0.5, 0.99, 1])
    drilling.note(
      `kill -9 to the new owner’s first poll, p${share * 100}, s`,
      (percentile(gaps, share) / 1000).toFixed(2),
    )
}

async function handover(drilling: Drilling): Promise<void> {
  const { cluster } = drilling
  const before = await ownedNow(cluster)
  const pid = cluster.pid('poller-2')
  const at = Date.now()
  cluster.signal('poller-2', 'SIGTERM')
  const isGone = () => (send(pid, 0) ? undefined : Date.now() - at)
  const exited = until('poller-2 to exit', isGone, 20_000)
  const handedOver = until(
    'all to be owned by peers',
    async () => {
      const now = new Map((await ownedNow(cluster)).map((one) => [one.id, one.session]))
      const old = [...Map.groupBy(before, (one) => one.session)].find(
        ([session]) => ![...now.values()].includes(session),
      )
      return old ? Date.now() - at : undefined
    },
    20_000,
  )
  drilling.note('SIGTERM: all handed over after, s', ((await handedOver) / 1000).toFixed(2))
  drilling.note('SIGTERM: exit after, s', ((await exited) / 1000).toFixed(2))
  await pause(intervalMs * 2)
  const { polls } = await pollsSeen(cluster)
  const gaps = moved(before, await ownedNow(cluster)).map(({ task }) => {
    const { recent } = polls[task]!
    const first = recent.findIndex((poll) => poll > at)
    return first > 0 ? recent[first]! - recent[first - 1]! : Infinity
  })
  drilling.note('SIGTERM: videos handed over', gaps.length)
  drilling.note(
    'SIGTERM: longest gap between polls, in intervals',
    (percentile(gaps, 1) / intervalMs).toFixed(2),
  )
}

async function joining(drilling: Drilling): Promise<void> {
  const { cluster } = drilling
  const before = new Map((await ownedNow(cluster)).map((one) => [one.id, one.epoch]))
  await cluster.addPoller()
  const at = Date.now()
  const isEven = async () => {
    const counts = shares(await ownedNow(cluster))
    const mean = counts.reduce((a, b) => a + b, 0) / counts.length
    return counts.length === cluster.pollers && Math.max(...counts) / mean <= 1.1
      ? Date.now() - at
      : undefined
  }
  drilling.note(
    'a poller joins: max/mean ownership ≤ 1.1 after, s',
    ((await until('an even share', isEven, 60_000).catch(() => Infinity)) / 1000).toFixed(1),
  )
  await pause(30_000)
  const counts = shares(await ownedNow(cluster))
  drilling.note('a poller joins: videos owned by each, 30 s later', counts.join(', '))
  const claims = await cluster.query<{ id: string; n: number }>(
    `SELECT id, count(DISTINCT epoch)::int n FROM chaos_audit WHERE at > to_timestamp($1) GROUP BY id`,
    [at / 1000],
  )
  const moves = claims.map(({ id, n }) => n - (before.has(id) ? 1 : 0)).filter((n) => n > 1)
  drilling.note('a poller joins: videos moved more than once', moves.length)
}

export const ownership: Drill = {
  about:
    'takeover after kill -9, hand-over at SIGTERM and a joining poller’s share, measured with 1,000 videos',
  cluster: {
    pollers: 3,
    others: 1,
    env: {
      POLL_INTERVAL_MS: String(intervalMs),
      RECONCILE_INTERVAL_MS: '120000',
      STALE_AFTER_MS: '180000',
      LOG_LEVEL: 'warn',
    },
  },
  async run(drilling) {
    const { cluster, quick } = drilling
    await cluster.simulator('/settings', { minSeconds: 260, maxSeconds: 280, tier: 'off' })
    await drilling.submit(quick ? 200 : 1_000, 100)
    await until('all to be polled', async () =>
      (
        await cluster.query<{ n: number }>(
          `SELECT count(*)::int n FROM "SceneVideo" WHERE status = 'pending'`,
        )
      )[0]?.n === 0
        ? true
        : undefined,
    )
    await pause(intervalMs * 3)
    drilling.note('videos owned by each poller', shares(await ownedNow(cluster)).join(', '))
    for (let kills = 0; kills < 3; kills++) {
      await takeover(drilling)
      await pause(10_000)
    }
    await handover(drilling)
    await pause(15_000)
    await joining(drilling)
    await drilling.judge(300_000)
  },
}
