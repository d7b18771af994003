/**
 * Debian's packages of suite sid by a list of one's own, through the machine's mirrors: nothing is
 * installed, and what the machine has is not looked at. apt checks their signatures.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Runs apt-get in `work`, which is to be removed afterwards. @throws where no mirror is known */
export function privateApt(work: string): (...args: string[]) => Promise<void> {
  const mirror = aptMirror()
  if (!mirror) throw new Error('no apt mirror is configured here')
  for (const dir of ['lists/partial', 'cache/archives/partial', 'state'])
    mkdirSync(join(work, dir), { recursive: true })
  writeFileSync(join(work, 'sources.list'), `deb ${mirror} sid main\n`)
  writeFileSync(join(work, 'status'), '')
  const settings = {
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State': join(work, 'state'),
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'Acquire::Languages': 'none',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
    'Acquire::Retries': '0',
    'APT::Sandbox::User': '',
    'APT::Default-Release': '',
    'APT::Install-Recommends': 'false',
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  return (...args) => run('apt-get', [...options, '-q', ...args], work)
}

/** The first Debian archive of the machine's own sources, in either format. */
function aptMirror(): string | null {
  const files = [
    '/etc/apt/sources.list',
    ...list('/etc/apt/sources.list.d').map((file) => `/etc/apt/sources.list.d/${file}`),
  ].filter(existsSync)
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    const found =
      /^deb\s+(?:\[[^\]]*\]\s+)?(\S+\/debian\/?)\s/m.exec(text)?.[1] ??
      /^URIs:\s*(\S+\/debian\/?)(?:\s|$)/m.exec(text)?.[1]
    if (found) return found
  }
  return null
}

const list = (dir: string) => (existsSync(dir) ? readdirSync(dir) : [])

/** @throws with the last line it said */
export function run(command: string, args: string[], cwd?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 180_000,
      ...(cwd ? { cwd } : {}),
    })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.once('error', (err) => reject(new Error(`${command} does not run: ${err.message}`)))
    child.once('exit', (code) =>
      code === 0
        ? resolve()
        : reject(new Error(`${command} failed: ${errors.trim().split('\n').at(-1) ?? code}`)),
    )
  })
}
