import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pause } from '../../support/system.ts'
import type { Drill } from '../drill.ts'
import { away, replaceDirectory } from '../faults.ts'
import { secondsUntilPolled } from '../polling.ts'

export const powerFailure: Drill = {
  about: 'NATS comes back without what it acknowledged last, as after a power failure',
  cluster: { pollers: 3 },
  async run(drilling) {
    const { cluster, users, quick } = drilling
    const data = join(cluster.natsDir, 'data')
    const copy = join(cluster.dir, 'nats-copy')
    await cluster.simulator('/settings', { minSeconds: 4, maxSeconds: 25, tier: 'off' })
    users.begin({ rate: 6, cancel: 0.03, retry: 0.05 })
    const rounds = quick ? 1 : 5
    for (let round = 1; round <= rounds; round++) {
      await pause(8_000)
      await away(cluster, 'nats', 0, () => cpSync(data, copy, { recursive: true }))
      await pause(drilling.random() * 15_000)
      await away(cluster, 'nats', 1_000, () => replaceDirectory(data, copy))
      drilling.note(
        `power failure ${round}: seconds until 95 % were polled in their interval`,
        (await secondsUntilPolled(cluster, 1_000)).toFixed(1),
      )
    }
    rmSync(copy, { recursive: true, force: true })
    await pause(25_000)
    await users.stop()
    await drilling.judge()
  },
}
