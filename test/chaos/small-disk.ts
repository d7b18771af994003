/** A small disk of its own for what is to run out of room. */
import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where it is mounted, until this process ends. @throws without root */
export function mountDisk(): string {
  const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-disk-'))
  process.once('exit', () => {
    spawnSync('umount', ['-l', dir])
    rmSync(dir, { recursive: true, force: true })
  })
  chmodSync(dir, 0o755)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', dir]).status !== 0)
    throw new Error('This drill mounts a small disk of its own, which needs root.')
  return dir
}

/** Until nothing fits any more. */
export function fillUp(file: string): void {
  try {
    for (;;) appendFileSync(file, Buffer.alloc(4_096))
  } catch (err) {
    if ((err as { code?: string }).code !== 'ENOSPC') throw err
  }
}
