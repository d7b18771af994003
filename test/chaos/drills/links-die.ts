import { pause } from '../../support/system.ts'
import type { Drill } from '../drill.ts'
import { crashAt, freeze, kill } from '../faults.ts'

const linkSeconds = 20

export const linksDie: Drill = {
  about: 'links die after 20 s, while archivers are killed and frozen: kept, or the loss is told',
  cluster: { pollers: 2 },
  async run(drilling) {
    const { cluster, users, quick, tell } = drilling
    await cluster.simulator('/settings', {
      minSeconds: 2,
      maxSeconds: 6,
      tier: 'off',
      resultLifeSeconds: linkSeconds,
    })
    users.begin({ rate: 5, prompts: ['a boat', 'a kite'] })
    for (let round = 0; round < (quick ? 1 : 4); round++) {
      for (const point of ['file-stored', 'file-recorded'] as const) {
        const fired = await crashAt(cluster, point, 20_000)
        tell(`${point}: ${fired ? 'fired' : 'nobody came by'}`)
        if (!fired) drilling.breaches.push(`nobody came by crash point ${point}`)
      }
      await Promise.all([kill(cluster, 'archiver-1'), freeze(cluster, 'archiver-2', 12_000)])
      await Promise.all([kill(cluster, 'nats'), kill(cluster, 'postgres')])
    }
    tell(`both archivers away for longer than ${linkSeconds} s: some links die`)
    await Promise.all(
      ['archiver-1', 'archiver-2'].map((name) => freeze(cluster, name, (linkSeconds + 10) * 1_000)),
    )
    await pause(5_000)
    await users.stop()
    await drilling.judge()
    if (drilling.kept === 0 || drilling.lost === 0) drilling.breaches.push('the drill saw not both')
  },
}
