import { until } from '../support/system.ts'
import type { Cluster } from './cluster.ts'

/** Every video has ended and every event is out. */
export async function atRest(cluster: Cluster, withinMs = 480_000): Promise<void> {
  await until(
    'everything to end',
    async () => {
      const [open] = await cluster.query<{ videos: number; events: number }>(
        `SELECT (SELECT count(*)::int FROM "SceneVideo" WHERE status IN ('pending', 'generating')) videos, (SELECT count(*)::int FROM "Timeline" WHERE owed) events`,
      )
      return open && open.videos === 0 && open.events === 0 ? true : undefined
    },
    withinMs,
  )
}
