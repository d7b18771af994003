/** ffmpeg: the machine's own, or Debian's, unpacked (debian-root.ts). */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loaded, unpackDebian } from './debian-root.ts'

/** What to give as FFMPEG; or, where it cannot be had, why. */
export async function findFfmpeg(): Promise<{ path: string } | { missing: string }> {
  const here = spawnSync('sh', ['-c', 'command -v ffmpeg'], { encoding: 'utf8' }).stdout.trim()
  if (here) return { path: here }
  const found = await unpackDebian('ffmpeg-1', ['ffmpeg'])
  if ('missing' in found) return found
  const path = join(found.root, 'run-ffmpeg')
  const [command, args] = loaded(found.root, 'ffmpeg', [])
  writeFileSync(path, `#!/bin/sh\nexec ${[command, ...args].join(' ')} "$@"\n`, { mode: 0o755 })
  const ran = spawnSync(path, ['-version'], { encoding: 'utf8' })
  return ran.status === 0 ? { path } : { missing: ran.stderr || 'it does not run' }
}
