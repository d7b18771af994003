/** `reelkeeper providers` as a process of its own, against the simulator. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { readConfig } from '#libs/runtime/config.ts'
import { simulatorSettings } from '#services/provider-simulator/config.ts'
import { startSimulator } from '#services/provider-simulator/service.ts'

let url = ''
const set = (patch: object) =>
  fetch(`${url}/settings`, { method: 'PUT', body: JSON.stringify(patch) })
const charged = async () => {
  const { tasks } = (await (await fetch(`${url}/ledger`)).json()) as { tasks: object[] }
  return tasks.length
}
beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'simulator-'))
  const env = { SIMULATOR_PORT: '0', SIMULATOR_DATA: dir, LOG_LEVEL: 'silent' }
  const simulator = await startSimulator(readConfig(simulatorSettings, env))
  url = simulator.url
  await set({ minSeconds: 0.5, maxSeconds: 0.5 })
  return async () => {
    await simulator[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true })
  }
})

async function reelkeeper(args: string[], env: NodeJS.ProcessEnv, answer = '') {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', 'cli/main.ts', 'providers', ...args],
    { env: { ...process.env, DATABASE_URL: 'postgres://unused', ...env } },
  )
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stdin.end(answer)
  const code = await new Promise((resolve) => child.once('close', resolve))
  return { code, out }
}

it('lists every provider', async () => {
  const { code, out } = await reelkeeper(['list'], {})
  expect(code).toBe(0)
  expect(out).toMatch(/^vidu +viduq3-turbo +list +cancel: queued$/m)
})

it('makes one video, looks for it as a lost one, and tells no key', async () => {
  const env = { VIDU_BASE_URL: `${url}/vidu`, VIDU_API_KEY: 'key-that-is-told-nowhere' }
  const { code, out } = await reelkeeper(['try', 'vidu'], env, 'yes\n')
  expect(out).toContain('Nothing differed from what is declared.')
  expect(out).toMatch(/in the list: {"kind":"found"/)
  expect(out).toMatch(/"kind":"done"/)
  expect(out).toContain('"durationSeconds":1')
  expect(out).not.toContain(env.VIDU_API_KEY)
  expect([code, await charged()]).toEqual([0, 1])
})

it('spends nothing before it was answered yes, nor without a key', async () => {
  const before = await charged()
  const env = { XAI_BASE_URL: `${url}/xai`, XAI_API_KEY: 'key' }
  expect((await reelkeeper(['try', 'xai'], env, 'no\n')).code).toBe(1)
  expect((await reelkeeper(['try', 'xai'], env)).code).toBe(1)
  expect((await reelkeeper(['try', 'xai', '--yes'], {})).out).toContain('Set XAI_API_KEY')
  expect(await charged()).toBe(before)
})

it('tells what it did not understand', async () => {
  const env = { XAI_BASE_URL: `${url}/xai`, XAI_API_KEY: 'key' }
  const { code, out } = await reelkeeper(['try', 'xai', '--yes', '--prompt', 'p [policy]'], env)
  expect(out).toContain('differs: the create was not accepted')
  expect(code).toBe(1)
})
