/** What a bench, or `npm start`, has started ends with it, at whatever moment that is. */
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { isAlive } from '#services/dev/servers/server-process.ts'
import { until } from '../support/system.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'reelkeeper-ending-'))
  chmodSync(dir, 0o755)
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function run(file: string, args: string[] = []): ChildProcess {
  const program = fileURLToPath(new URL(`../../${file}`, import.meta.url))
  const env = { ...process.env, TMPDIR: dir, PORT: '0' }
  const stdio = ['ignore', 'pipe', 'ignore'] as const
  return spawn(process.execPath, [program, ...args], { cwd: dir, env, stdio: [...stdio] })
}

const inside = (name: string) => globSync(`**/.reelkeeper/**/${name}`, { cwd: dir })
const appeared = (name: string) => until(name, () => (inside(name).length > 0 ? true : undefined))
const pids = () =>
  ['postmaster.pid', 'nats.pid'].flatMap((name) =>
    inside(name).map((file) => Number(readFileSync(join(dir, file), 'utf8').split('\n')[0])),
  )
const exitOf = (child: ChildProcess) =>
  new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
const gone = (servers: number[]) =>
  until('its servers to end', () => (servers.some(isAlive) ? undefined : true))

it.each([
  ['SIGTERM', 'dev.json'],
  ['SIGKILL', 'postmaster.pid'],
] as const)('a bench leaves no server at %s, once there is %s', async (signal, file) => {
  const child = run('bench/lost-creates.ts', ['--only', 'ark', '--videos', '2'])
  const exited = exitOf(child)
  await appeared(file)
  const servers = pids()
  child.kill(signal)
  expect(await exited).toBe(signal === 'SIGTERM' ? 143 : signal)
  if (signal === 'SIGTERM') expect(readdirSync(dir)).toEqual([])
  await gone(servers)
})

it('leaves no server when nobody reads it any more', async () => {
  const child = run('services/dev/start.ts')
  const exited = exitOf(child)
  child.stdout!.once('data', () => child.stdout!.destroy())
  await appeared('postmaster.pid')
  const servers = pids()
  expect(await exited).toBe(0)
  await gone(servers)
})
