import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { pause } from '../../support/system.ts'
import type { Drill } from '../drill.ts'
import { kill } from '../faults.ts'
import { secondsUntilPolled } from '../polling.ts'
import { fillUp, mountDisk } from '../small-disk.ts'

let dir = ''

export const diskFull: Drill = {
  about:
    'the disk of NATS fills up; space is made, nats-server started again (needs root: it mounts a tmpfs)',
  cluster: () => {
    dir = mountDisk()
    return { pollers: 2, natsDir: join(dir, 'nats') }
  },
  async run(drilling) {
    const { cluster, users } = drilling
    await cluster.simulator('/settings', { minSeconds: 5, maxSeconds: 20, tier: 'off' })
    users.begin({ rate: 4, cancel: 0.03, retry: 0.05 })
    await pause(10_000)
    const before = new Map(users.answers)
    fillUp(join(dir, 'ballast'))
    const fullMs = drilling.quick ? 15_000 : 60_000
    await pause(fullMs)
    drilling.note('disk full for, s', fullMs / 1000)
    drilling.note(
      'answers meanwhile',
      [...users.answers].map(([code, n]) => `${code}: ${n - (before.get(code) ?? 0)}`).join(', '),
    )
    rmSync(join(dir, 'ballast'))
    await kill(cluster, 'nats', 'SIGTERM')
    drilling.note(
      'from the restart until 95 % were polled in their interval, s',
      (await secondsUntilPolled(cluster, 1_000)).toFixed(1),
    )
    await pause(10_000)
    await users.stop()
    await drilling.judge()
  },
}
