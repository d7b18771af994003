import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pause } from '../../support/system.ts'
import type { Drill, Drilling } from '../drill.ts'
import { kill } from '../faults.ts'
import { fillUp, mountDisk } from '../small-disk.ts'

let disk = ''

/** Files kept while `ms` pass. */
async function keptDuring({ cluster }: Drilling, ms: number): Promise<number> {
  const count = async () =>
    (
      await cluster.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM "File" WHERE state = 'stored'`,
      )
    )[0]!.n
  await pause(2_000) // what was being written
  const before = await count()
  await pause(ms)
  return (await count()) - before
}

export const filesAway: Drill = {
  about:
    'the disk of the files fills up, then the store is gone for a while: every file is kept in the end (needs root: it mounts a tmpfs)',
  cluster: () => {
    disk = mountDisk()
    return { pollers: 2, filesDir: join(disk, 'files') }
  },
  async run(drilling) {
    const { cluster, users, quick } = drilling
    const ms = quick ? 10_000 : 60_000
    const [store, gone, ballast] = ['files', 'gone', 'ballast'].map((name) => join(disk, name))
    await cluster.simulator('/settings', { minSeconds: 2, maxSeconds: 6, tier: 'off' })
    users.begin({ rate: 4 })
    await pause(10_000)
    fillUp(ballast!)
    const whileFull = await keptDuring(drilling, ms)
    rmSync(ballast!)
    drilling.note(`files kept in ${ms / 1_000} s of a full disk`, whileFull)
    await kill(cluster, 'archiver-1')
    await pause(5_000)
    renameSync(store!, gone!)
    const whileAway = await keptDuring(drilling, ms)
    renameSync(gone!, store!)
    drilling.note(`files kept in ${ms / 1_000} s without a store`, whileAway)
    if (whileFull + whileAway > 0) drilling.breaches.push('the drill took no store away')
    await users.stop()
    await drilling.judge()
    if (drilling.lost > 0) drilling.breaches.push('files are lost, though their links live')
  },
}
