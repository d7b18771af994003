import { defaults } from '#services/provider-simulator/settings.ts'
import { spawnSync } from 'node:child_process'
import { chownSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { pause, until } from '../../support/system.ts'
import type { Cluster } from '../cluster.ts'
import type { Drill } from '../drill.ts'
import { end, replaceDirectory } from '../faults.ts'
import { secondsUntilPolled } from '../polling.ts'

/**
 * A base backup of the running Postgres, as its manual has it ("Making a base backup using the low
 * level API"). `meanwhile` runs before it is complete.
 */
async function backUp(
  cluster: Cluster,
  copy: string,
  meanwhile: () => Promise<void>,
): Promise<void> {
  // files that vanish meanwhile are no fault
  const take = (from: string, to: string) => spawnSync('cp', ['-a', from, to])
  const client = new pg.Client({ connectionString: cluster.databaseUrl })
  await client.connect()
  try {
    await client.query(`SELECT pg_backup_start('drill', fast => true)`)
    take(cluster.postgresDir, copy)
    await meanwhile()
    const { rows } = await client.query<{ labelfile: string }>(
      'SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)',
    )
    rmSync(join(copy, 'pg_wal'), { recursive: true })
    take(join(cluster.postgresDir, 'pg_wal'), join(copy, 'pg_wal'))
    writeFileSync(join(copy, 'backup_label'), rows[0]!.labelfile)
    const { uid, gid } = statSync(copy)
    chownSync(join(copy, 'backup_label'), uid, gid)
    for (const name of ['postmaster.pid', 'postmaster.opts'])
      rmSync(join(copy, name), { force: true })
  } finally {
    await client.end()
  }
}

export const postgresRestored: Drill = {
  about:
    'Postgres is restored from a copy made in mid-flight, as the README says: what it remembers is not paid for twice',
  cluster: { pollers: 2 },
  async run(drilling) {
    const { cluster, users, quick } = drilling
    const copy = join(cluster.dir, 'postgres-copy')
    await cluster.simulator('/settings', {
      minSeconds: 5,
      maxSeconds: 20,
      tier: 'off',
      lookupLagMs: 300,
      faults: { acceptThenReset: 0.03, acceptThenTimeout: 0.03 },
    })
    users.begin({
      rate: 6,
      cancel: 0.05,
      retry: 0.1,
      prompts: ['a boat', 'a kite', '[fail] a boat'],
    })
    const rounds = quick ? 1 : 3
    const remembered = new Set<string>()
    for (let round = 1; round <= rounds; round++) {
      await pause(15_000)
      const beforeCopy = [...users.accepted.keys()]
      await backUp(cluster, copy, () => pause(2_000))
      for (const id of beforeCopy) remembered.add(id)
      await pause(10_000)
      const begins = await Promise.all(
        cluster.services.map((name) => end(cluster, name, 'SIGTERM')),
      )
      const begin = await end(cluster, 'postgres', 'SIGINT')
      replaceDirectory(cluster.postgresDir, copy)
      await begin()
      const said = await cluster.operate('postgres-restored')
      const [, guarded, advanced, forgotten] =
        /(\d+) videos will[^]*?(\d+) videos had[^]*?(\d+) videos are forgotten/.exec(said) ?? []
      drilling.note(
        `restore ${round}: guarded, gone on from newer versions, forgotten`,
        [guarded, advanced, forgotten].join(', '),
      )
      const now = new Set(
        (await cluster.query<{ id: string }>('SELECT id FROM "SceneVideo"')).map((row) => row.id),
      )
      const lost = [...remembered].filter((id) => !now.has(id))
      drilling.breaches.push(
        ...lost.map((id) => `${id} was accepted before the copy was made and is not in it`),
      )
      for (const id of users.accepted.keys()) if (!now.has(id)) users.accepted.delete(id)
      const back = performance.now()
      await Promise.all(begins.map((go) => go()))
      await cluster.ready()
      const had = users.accepted.size
      await until(
        'a submission to be accepted again',
        () => (users.accepted.size > had ? true : undefined),
        60_000,
      )
      await secondsUntilPolled(cluster, 1_000)
      drilling.note(
        `restore ${round}: from the start of the services until 95 % of what is remembered was polled, s`,
        ((performance.now() - back) / 1000).toFixed(1),
      )
    }
    await cluster.simulator('/settings', {
      lookupLagMs: 0,
      faults: defaults.faults,
    })
    await pause(10_000)
    await users.stop()
    drilling.promises.historyLost = true
    await drilling.judge()
  },
}
