import { pause, until } from '../../support/system.ts'
import type { Cluster } from '../cluster.ts'
import type { Drill } from '../drill.ts'
import { freeze } from '../faults.ts'

/** Ids owned, as recorded, by session. */
async function owned(cluster: Cluster): Promise<Map<string, string[]>> {
  const rows = await cluster.query<{ id: string; session: string }>(
    `SELECT id, session FROM "SceneVideo" WHERE status = 'generating' AND session IS NOT NULL`,
  )
  return new Map(
    [...Map.groupBy(rows, (row) => row.session)].map(([session, list]) => [
      session,
      list.map((row) => row.id),
    ]),
  )
}

/**
 * Frozen until a peer has taken everything over. Tells how many videos that were, and for how long.
 */
async function freezeUntilTakenOver(
  cluster: Cluster,
  name: string,
): Promise<{ videos: number; ms: number }> {
  const before = await owned(cluster)
  const begun = performance.now()
  const wake = cluster.stop([cluster.pid(name)])
  try {
    const gone = await until(
      `${name} to be taken over`,
      async () => {
        const now = await owned(cluster)
        return [...before].find(([session, ids]) => ids.length > 10 && !now.has(session))
      },
      40_000,
    )
    return { videos: gone[1].length, ms: performance.now() - begun }
  } finally {
    wake()
  }
}

export const frozen: Drill = {
  about: 'pollers, submit and status SIGSTOPped until a peer has taken over, then woken',
  cluster: { pollers: 2, skewMs: 30_000 },
  async run(drilling) {
    const { cluster, quick, tell } = drilling
    const batches = quick ? 1 : 5
    let videos = 0
    let freezes = 0
    await cluster.simulator('/settings', { minSeconds: 34, maxSeconds: 44, tier: 'off' })
    for (let batch = 1; batch <= batches; batch++) {
      await drilling.submit(quick ? 60 : 200, 40)
      await until('all to be polled', async () =>
        (
          await cluster.query<{ n: number }>(
            `SELECT count(*)::int n FROM "SceneVideo" WHERE status = 'pending'`,
          )
        )[0]?.n === 0
          ? true
          : undefined,
      )
      // The second freeze gives the videos back to the process that lost them by the first.
      for (const name of ['poller-1', 'poller-2']) {
        const others = [freeze(cluster, 'status-1', 8_000), freeze(cluster, 'submit-1', 8_000)]
        const one = await freezeUntilTakenOver(cluster, name)
        await Promise.all(others)
        videos += one.videos
        freezes++
        tell(
          `batch ${batch}/${batches}: ${name} frozen for ${(one.ms / 1000).toFixed(1)} s, ${one.videos} videos taken over`,
        )
        await pause(2_000)
      }
    }
    drilling.note('freezes of a poller past its lease', freezes)
    drilling.note('videos it owned, in all', videos)
    await drilling.judge()
  },
}
