/**
 * What an operator does with `npm start` by the documents: keys of one's own, changed; what
 * retention would delete; a copy of Postgres, restored.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'

const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const system = new System()
afterAll(() => system[Symbol.asyncDispose]())

const [first, second] = [1, 2].map(() => randomBytes(32).toString('base64'))
const ask = async (method: string, path: string, body?: object) => {
  const response = await fetch(`${system.dev.gatewayUrl}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${system.dev.apiKey}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const reelkeeper = (args: string[], env: NodeJS.ProcessEnv = {}) => {
  const words = ['--disable-warning=ExperimentalWarning', cli, ...args]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    cwd: system.dir,
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}
const config = () => `/api/projects/${system.dev.projectId}/ai-config`
const opens = async () => (await ask('POST', `${config()}/test`)).body
const completed = async (id: string) =>
  until('a completed video', async () => {
    const { body } = await ask('GET', `/api/scene-videos/${id}`)
    return body['status'] === 'completed' || undefined
  })

it('takes keys of the environment, keeps what was sealed to others, and goes on from a copy', async () => {
  await expect(system.start([], { KEY_ENCRYPTION_KEY: 'short' })).rejects.toThrow(
    'KEY_ENCRYPTION_KEY must be 32 bytes in base64',
  )

  await system.start([], { KEY_ENCRYPTION_KEY: first, FILE_DAYS: '1' })
  await fetch(`${system.dev.simulatorUrl}/settings`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ minSeconds: 1, maxSeconds: 1 }),
  })
  const put = await ask('PUT', config(), { provider: 'toapis', apiKey: 'sk-of-my-own' })
  expect(put.status).toBe(200)
  expect(await opens()).toMatchObject({ ok: true, source: 'project' })
  const told = reelkeeper(['files', 'retention', '--dry-run'])
  expect(told).toEqual({
    status: 0,
    stdout: '0 files, 0 bytes: kept for more than 1 day\nno project has files beyond its limits\n',
    stderr: '',
  })
  const other = reelkeeper(['keys', 're-encrypt'], { KEY_ENCRYPTION_KEY: second })
  expect([other.status, other.stderr]).toEqual([
    1,
    expect.stringContaining('has another KEY_ENCRYPTION_KEY'),
  ])
  expect(reelkeeper(['postgres-restored']).stderr).toContain('stop the services first')
  await system.stop()
  const [postgres, copy] = ['postgres', 'copy'].map((name) => join(system.dir, '.reelkeeper', name))
  const place = (from: string, to: string) => {
    rmSync(to, { recursive: true, force: true })
    expect(spawnSync('cp', ['-a', from, to]).status).toBe(0)
  }
  place(postgres!, copy!)

  await system.start([], { KEY_ENCRYPTION_KEY: second })
  expect(await opens()).toMatchObject({ ok: true, source: 'project' })
  const sealed = reelkeeper(['keys', 're-encrypt'])
  expect(sealed.stdout).toContain('done: 1 re-encrypted')
  expect(await opens()).toMatchObject({ ok: true, source: 'project' })
  const made = await ask('POST', '/api/videos', { prompt: 'x' })
  const forgotten = String(made.body['id'])
  await completed(forgotten)
  await system.stop()
  place(copy!, postgres!)

  await system.start(['--no-services'])
  const restored = reelkeeper(['postgres-restored'])
  expect(restored).toMatchObject({ status: 0, stderr: '' })
  expect(restored.stdout).toContain(`${forgotten} is forgotten`)
  expect(await system.stop()).toBe(0)

  await system.start()
  expect(await opens()).toMatchObject({ ok: true, source: 'project' })
  await completed(String((await ask('POST', '/api/videos', { prompt: 'x' })).body['id']))
})
