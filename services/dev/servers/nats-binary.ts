/**
 * Where nats-server comes from: NATS_SERVER_BIN; else one on PATH or in the usual places that is
 * new enough; else the cache, filled once: from the pinned official release, held against the
 * checksums kept here, or from Debian's package through the machine's own mirrors. A network or a
 * proxy that does not answer is given up after a minute or two.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { privateApt, run } from './apt.ts'

export const oldest = '2.12.1'
/** The official release, by the SHA-256 of its archives. What comes from apt, apt has checked. */
const release = {
  version: '2.15.0',
  sha256: {
    'linux-amd64': '5d2c51caca950333aba84911df7d377f826f3a59ec36061c6539105084f65c92',
    'linux-arm64': 'cdc208f5a3f42963a52b6ab06ef65626bb870315dc936e26ba571780c6351112',
    'darwin-arm64': 'e1c4e22d70bd44abfa0bcb3c16f7cf0c66f648c2e728c58924e8a1ce88913cc8',
  } as Record<string, string>,
}
const usualPlaces = [
  '/usr/local/bin',
  '/usr/bin',
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
  '/usr/lib/go/bin',
]
type Say = (line: string) => void

export async function findNatsServer(
  say: Say,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const named = env['NATS_SERVER_BIN']
  if (named) {
    const version = versionOf(named)
    if (!version)
      throw new Error(`NATS_SERVER_BIN=${named} is no nats-server that runs. ${whatToDo}`)
    if (!isNewEnough(version))
      throw new Error(
        `NATS_SERVER_BIN=${named} is version ${version}, too old: at least ${oldest} is needed. ${whatToDo}`,
      )
    return named
  }
  for (const place of [...(env['PATH'] ?? '').split(delimiter), ...usualPlaces]) {
    const candidate = join(place, 'nats-server')
    if (!place || !existsSync(candidate)) continue
    const version = versionOf(candidate)
    if (version && isNewEnough(version)) return candidate
    say(
      `${candidate} is ${version ? `version ${version}, too old` : 'not usable'}; looking further`,
    )
  }
  const cache = cacheDir(env)
  const cached = list(cache)
    .filter((name) => name.startsWith('nats-server-'))
    .map((name) => join(cache, name, 'nats-server'))
    .find((path) => existsSync(path) && isNewEnough(versionOf(path) ?? '0'))
  if (cached) return cached
  const failures: string[] = []
  for (const fetchIt of [fromRelease, fromApt]) {
    const work = mkdtempSync(join(tmpdir(), 'reelkeeper-nats-'))
    try {
      const binary = await fetchIt(work, say)
      const version = versionOf(binary)
      if (!version || !isNewEnough(version))
        throw new Error(`it is version ${version ?? 'unknown'}, older than ${oldest}`)
      say(`nats-server ${version} is in the cache`)
      return keep(binary, join(cache, `nats-server-${version}`))
    } catch (err) {
      failures.push((err as Error).message)
      say((err as Error).message)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  throw new Error(
    `No nats-server of at least ${oldest} is to be had (${failures.join('; ')}). ${whatToDo}`,
  )
}

/** For what is fetched once and kept. */
export const cacheDir = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'reelkeeper')

/** Whole or not at all, also where two runs do so at once. */
function keep(binary: string, directory: string): string {
  mkdirSync(directory, { recursive: true })
  const [kept, half] = [join(directory, 'nats-server'), join(directory, `half.${process.pid}`)]
  copyFileSync(binary, half)
  chmodSync(half, 0o755)
  renameSync(half, kept)
  return kept
}

const whatToDo = `Install nats-server ${oldest} or later, or set NATS_SERVER_BIN to one.`

/** As the binary says, like `2.15.1`; null when it does not run. */
export function versionOf(binary: string): string | null {
  const run = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  return /v?(\d+\.\d+\.\d+)/.exec(run.stdout ?? '')?.[1] ?? null
}

export function isNewEnough(version: string): boolean {
  const [have, need] = [version, oldest].map((text) => text.split('.').map(Number))
  for (let i = 0; i < 3; i++) {
    const difference = (have![i] ?? 0) - (need![i] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}

/** An answer has to begin within 15 s, and end within five minutes. */
async function download(url: string): Promise<Buffer> {
  const silent = new AbortController()
  const timer = setTimeout(() => silent.abort(new Error('no answer within 15 s')), 15_000)
  const signal = AbortSignal.any([silent.signal, AbortSignal.timeout(300_000)])
  const response = await fetch(url, { signal }).finally(() => clearTimeout(timer))
  if (!response.ok) throw new Error(`it answered ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

async function fromRelease(work: string, say: Say): Promise<string> {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch as string]
  const { version, sha256 } = release
  const platform = `${process.platform}-${arch}`
  const expected = sha256[platform]
  if (!expected) throw new Error(`no checksum of the official release is kept for ${platform}`)
  const name = `nats-server-v${version}-${platform}.tar.gz`
  const url = `https://github.com/nats-io/nats-server/releases/download/v${version}/${name}`
  say(`fetching nats-server ${version} from its official release`)
  const archive = await download(url).catch((err: unknown) => {
    throw new Error(`the official release cannot be had (${(err as Error).message})`)
  })
  if (createHash('sha256').update(archive).digest('hex') !== expected)
    throw new Error('the official release does not match its checksum')
  writeFileSync(join(work, name), archive)
  await run('tar', ['-xzf', join(work, name), '-C', work, '--strip-components=1'])
  return join(work, 'nats-server')
}

/** Debian's package of suite sid, unpacked without installing. */
async function fromApt(work: string, say: Say): Promise<string> {
  const apt = privateApt(work)
  say('fetching nats-server from the Debian package')
  await apt('update')
  await apt('download', 'nats-server')
  const deb = readdirSync(work).find((file) => file.endsWith('.deb'))
  if (!deb) throw new Error('the Debian package did not arrive')
  await run('dpkg-deb', ['-x', join(work, deb), join(work, 'unpacked')])
  const found = ['usr/bin/nats-server', 'usr/sbin/nats-server']
    .map((path) => join(work, 'unpacked', path))
    .find(existsSync)
  if (!found) throw new Error('the Debian package holds no nats-server')
  return found
}

const list = (dir: string) => (existsSync(dir) ? readdirSync(dir) : [])
