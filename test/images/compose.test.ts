/** docker-compose.yml as it is: up with new passwords, a video by HTTP, down, nothing left. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '#services/dev/servers/ports.ts'
import { docker, run, whyNoCompose } from './engine.ts'

const why = whyNoCompose()
if (why) process.stdout.write(`skipped, Compose: ${why}\n`)

const project = `rkcompose${process.pid}`
let work = ''
const mine = ['--filter', `label=com.docker.compose.project=${project}`]

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** The provider, from this directory: the image has none. */
const simulator = `
services:
  simulator:
    image: node:24-bookworm-slim
    working_dir: /app
    volumes: ["${resolve('.')}:/app:ro"]
    command: ["node", "services/provider-simulator/main.ts"]
    environment: { SIMULATOR_HOST: 0.0.0.0, SIMULATOR_DATA: /tmp/simulator }
`

function compose(...args: string[]): string {
  const isPlugin = spawnSync('docker', ['compose', 'version']).status === 0
  const [command, first] = isPlugin ? ['docker', ['compose']] : ['docker-compose', []]
  const files = ['-f', 'docker-compose.yml', '-f', join(work, 'simulator.yml')]
  const about = ['-p', project, ...files, '--env-file', join(work, 'env')]
  return run(command, [...first, ...about, ...args])
}
/** What the command prints; Compose may build its image before. */
const operator = (...args: string[]) =>
  compose('run', '--rm', 'operator', ...args)
    .trim()
    .split('\n')
    .at(-1)!
const down = () => compose('down', '-v', '-t', '30', '--rmi', 'local', '--remove-orphans')

/** Brings it up from generated settings; answers the gateway's address. */
async function up(): Promise<string> {
  const port = await freePort()
  const settings = run(process.execPath, ['deploy/env.ts'])
    .replace(/^TOAPIS_API_KEY=$/m, 'TOAPIS_API_KEY=sk-compose')
    .replace(/^TOAPIS_BASE_URL=.*$/m, 'TOAPIS_BASE_URL=http://simulator:4010/v1')
    .replace(/^#GATEWAY_PORT=$/m, `GATEWAY_PORT=${port}`)
  writeFileSync(join(work, 'env'), settings)
  writeFileSync(join(work, 'simulator.yml'), simulator)
  compose('--profile', 'operator', 'build')
  compose('up', '-d')
  return `http://127.0.0.1:${port}`
}

interface Seen {
  State: { Health?: { Status: string } }
  Config: { User: string; Image: string; Labels: Record<string, string> }
}
/** The running containers, by service. */
function running(): Map<string, Seen[]> {
  const ids = docker('ps', '-q', ...mine)
    .trim()
    .split('\n')
  const all = JSON.parse(docker('inspect', ...ids)) as Seen[]
  return Map.groupBy(all, ({ Config }) => Config.Labels['com.docker.compose.service']!)
}

describe.skipIf(why !== null)('Compose', { timeout: 900_000 }, () => {
  let gateway = ''
  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'reelkeeper-compose-'))
    gateway = await up()
  }, 900_000)
  afterAll(() => {
    down()
    rmSync(work, { recursive: true })
  })

  it('brings one video to completed, and keeps its file', async () => {
    const status = async () => (await fetch(`${gateway}/readyz`).catch(() => null))?.status
    await expect.poll(status, { timeout: 180_000, interval: 1_000 }).toBe(200)
    const key = operator('keys', 'create', '--user', operator('users', 'create', 'Compose'))
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ prompt: 'A ship in a bottle' })
    const created = await fetch(`${gateway}/api/videos`, { method: 'POST', headers, body })
    expect(created.status).toBe(202)
    const { id } = (await created.json()) as { id: string }
    const video = async () =>
      (await (await fetch(`${gateway}/api/scene-videos/${id}`, { headers })).json()) as object
    await expect
      .poll(video, { timeout: 180_000, interval: 1_000 })
      .toMatchObject({ status: 'completed', videoUrl: expect.any(String) as string })
    const file = async () => {
      const answer = await fetch(`${gateway}/api/scene-videos/${id}/file`, { headers })
      const bytes = Buffer.from(await answer.arrayBuffer())
      return [answer.status, answer.headers.get('content-type'), bytes.toString('latin1', 4, 8)]
    }
    await expect
      .poll(file, { timeout: 60_000, interval: 1_000 })
      .toEqual([200, 'video/mp4', 'ftyp'])
    await expect.poll(video).toMatchObject({ file: { url: expect.any(String) as string } })
  })

  it('takes an upload', async () => {
    const form = new FormData()
    form.append('file', new Blob([png]), 'dot.png')
    const key = operator('keys', 'create', '--user', operator('users', 'create', 'Uploads'))
    const headers = { authorization: `Bearer ${key}` }
    const answer = await fetch(`${gateway}/api/uploads`, { method: 'POST', headers, body: form })
    expect([answer.status, await answer.text()]).toEqual([
      201,
      expect.stringContaining('image/png') as string,
    ])
  })

  it('keeps every service healthy, two pollers among them, none as root', () => {
    const services = running()
    const ours = ['gateway', 'submit', 'status', 'reconciler', 'archiver', 'poller']
    const count = (service: string) => services.get(service)?.length
    expect([...ours, 'postgres', 'nats'].map(count)).toEqual([1, 1, 1, 1, 1, 2, 1, 1])
    for (const [service, containers] of services)
      for (const { State } of containers)
        expect(State.Health?.Status ?? 'healthy', service).toBe('healthy')
    for (const service of ours)
      expect(services.get(service)![0]!.Config.User, service).toBe('65532')
  })

  it('leaves nothing', () => {
    down()
    expect(docker('ps', '-aq', ...mine)).toBe('')
    expect(docker('volume', 'ls', '-q', ...mine)).toBe('')
    expect(docker('network', 'ls', '-q', ...mine)).toBe('')
  })
})
