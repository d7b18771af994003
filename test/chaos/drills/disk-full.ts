import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pause } from '../../support/system.ts'
import type { Drill } from '../drill.ts'
import { kill } from '../faults.ts'
import { secondsUntilPolled } from '../polling.ts'

let dir = ''

/** A small disk of its own for NATS. */
function mountDisk(): string {
  dir = mkdtempSync(join(tmpdir(), 'reelkeeper-disk-'))
  process.once('exit', () => {
    spawnSync('umount', ['-l', dir])
    rmSync(dir, { recursive: true, force: true })
  })
  chmodSync(dir, 0o755)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', dir]).status !== 0)
    throw new Error('This drill mounts a small disk of its own for NATS, which needs root.')
  return dir
}

function fillUp(file: string): void {
  try {
    for (;;) appendFileSync(file, Buffer.alloc(65_536))
  } catch (err) {
    if ((err as { code?: string }).code !== 'ENOSPC') throw err
  }
}

export const diskFull: Drill = {
  about:
    'the disk of NATS fills up; space is made, nats-server started again (needs root: it mounts a tmpfs)',
  cluster: () => ({ pollers: 2, natsDir: join(mountDisk(), 'nats') }),
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
