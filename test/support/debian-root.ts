/**
 * Programs of Debian's suite sid, unpacked once into the cache and run from there by their own
 * loader: nothing is installed, no root needed.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { privateApt, run } from '#services/dev/servers/apt.ts'
import { cacheDir } from '#services/dev/servers/nats-binary.ts'

/**
 * Where these packages are, with all that they depend on; or, where they cannot be had, why. `name`
 * is the directory in the cache: another one for another list.
 */
export async function unpackDebian(
  name: string,
  packages: string[],
): Promise<{ root: string } | { missing: string }> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return { missing: 'Debian’s packages are unpacked on Linux, x64, only' }
  const cache = cacheDir()
  const root = join(cache, name)
  if (existsSync(root)) return { root }
  mkdirSync(cache, { recursive: true })
  const half = mkdtempSync(join(cache, 'half-'))
  const work = mkdtempSync(join(tmpdir(), 'reelkeeper-debian-'))
  try {
    const apt = privateApt(work)
    await apt('update')
    await apt('install', '--download-only', '--yes', 'base-files', ...packages)
    const archives = join(work, 'cache', 'archives')
    const debs = readdirSync(archives).filter((file) => file.endsWith('.deb'))
    // the links of the merged /usr come first
    debs.sort((a, b) => Number(b.startsWith('base-files')) - Number(a.startsWith('base-files')))
    for (const deb of debs) await run('sh', ['-c', unpack, 'unpack', join(archives, deb), half])
    renameSync(half, root)
    return { root }
  } catch (err) {
    // another run was faster
    return existsSync(root) ? { root } : { missing: (err as Error).message }
  } finally {
    for (const dir of [half, work]) rmSync(dir, { recursive: true, force: true })
  }
}
const unpack =
  'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --exclude ./usr/share/doc --exclude ./usr/share/man'

export const libraries = (root: string): string => join(root, 'usr/lib/x86_64-linux-gnu')

/** `command` of the unpacked packages, by their loader and with their libraries. */
export function loaded(root: string, command: string, args: string[]): [string, string[]] {
  const path = ['', '/ceph', '/blas', '/lapack', '/pulseaudio']
    .map((dir) => libraries(root) + dir)
    .join(':')
  const loader = join(libraries(root), 'ld-linux-x86-64.so.2')
  return [loader, ['--library-path', path, join(root, 'usr/bin', command), ...args]]
}
