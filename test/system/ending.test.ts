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

const programOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))

function run(file: string, args: string[] = []): ChildProcess {
  return runBy(process.execPath, [programOf(file), ...args])
}

function runBy(command: string, args: string[], more: NodeJS.ProcessEnv = {}): ChildProcess {
  const env = { ...process.env, TMPDIR: dir, PORT: '0', ...more }
  const stdio = ['ignore', 'pipe', 'ignore'] as const
  return spawn(command, args, { cwd: dir, env, stdio: [...stdio] })
}

/** What such files say, of those that are there. */
const said = (name: string): string[] =>
  globSync(`**/.reelkeeper/**/${name}`, { cwd: dir }).flatMap((file) => {
    try {
      return [readFileSync(join(dir, file), 'utf8')]
    } catch {
      return []
    }
  })
const appeared = (name: string, word: string) =>
  until(
    `${word} in ${name}`,
    () => said(name).some((text) => text.includes(word)) || undefined,
    120_000,
  )
/** A file just made is empty; Postgres without others writes a number below 0. */
const pids = () =>
  ['postmaster.pid', 'nats.pid']
    .flatMap((name) => said(name).map((text) => Number(text.split('\n')[0])))
    .filter((pid) => pid > 1)
const exitOf = (child: ChildProcess) =>
  new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
const gone = (servers: number[]) =>
  until('its servers to end', () => (servers.some(isAlive) ? undefined : true))

it.each([
  ['SIGTERM', 'dev.json', 'gatewayUrl'],
  ['SIGKILL', 'postmaster.pid', 'ready'],
] as const)('a bench leaves no server at %s, once there is %s', async (signal, file, word) => {
  const child = run('bench/lost-creates.ts', ['--only', 'ark', '--videos', '2'])
  const exited = exitOf(child)
  await appeared(file, word)
  const servers = pids()
  expect(servers.length).toBeGreaterThan(0)
  child.kill(signal)
  expect(await exited).toBe(signal === 'SIGTERM' ? 143 : signal)
  if (signal === 'SIGTERM') expect(readdirSync(dir)).toEqual([])
  await gone(servers)
})

it.each([
  ['nobody reads it any more', (child) => child.stdout!.destroy()],
  ['its terminal is closed', (child) => child.kill('SIGHUP')],
] as [string, (child: ChildProcess) => void][])('leaves no server when %s', async (_, end) => {
  const child = run('services/dev/start.ts')
  const exited = exitOf(child)
  child.stdout!.resume()
  await appeared('postmaster.pid', 'ready')
  const servers = pids()
  expect(servers.length).toBeGreaterThan(0)
  end(child)
  expect(await exited).toBe(0)
  await gone(servers)
})

it('leaves no server when npm is ended, which ends only the shell between', async () => {
  const script = `"${process.execPath}" "${programOf('services/dev/start.ts')}"; exit`
  const shell = runBy('sh', ['-c', script], { npm_lifecycle_event: 'start' })
  shell.stdout!.resume()
  await appeared('postmaster.pid', 'ready')
  const servers = pids()
  expect(servers.length).toBeGreaterThan(0)
  shell.kill('SIGTERM')
  await gone(servers)
})
