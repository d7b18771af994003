/**
 * The environment names a proxy that takes every connection and answers none: what is on this
 * machine is reached past it, and nothing waits for it.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'

let proxy: Server
let taken = 0
let env: NodeJS.ProcessEnv
beforeAll(async () => {
  proxy = createServer((socket) => {
    taken++
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy']
  env = { ...Object.fromEntries(names.map((name) => [name, url])), NODE_USE_ENV_PROXY: '1' }
})
afterAll(() => void proxy.close())

it('npm start brings a video to completed, and asks the proxy for nothing', async () => {
  await using system = new System(env)
  const started = system.start(['--pollers', '1'])
  await until('dev.json', () => system.hasDevJson || undefined, 90_000)
  // whoever waits for it may begin at once
  const ready = `${system.dev.gatewayUrl}/readyz`
  // a connection of its own: one that is kept may be closed just as it is used again
  expect((await fetch(ready, { headers: { connection: 'close' } })).status).toBe(200)
  await started
  await system.simulate({ minSeconds: 1, maxSeconds: 2 })
  const { gatewayUrl, apiKey, projectId, scriptId, sceneIds, databaseUrl } = system.dev
  const headers = { authorization: `Bearer ${apiKey}` }
  const path = `/api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[0]}/generate-video`
  const created = await fetch(`${gatewayUrl}${path}`, { method: 'POST', headers })
  expect(created.status).toBe(202)
  const { id } = (await created.json()) as { id: string }
  await until('the video to complete', async () => {
    const answer = await fetch(`${gatewayUrl}/api/scene-videos/${id}`, { headers })
    const video = (await answer.json()) as { status: string }
    return video.status === 'completed' || undefined
  })
  // what dev.json carries locks rows, as whoever looks on from outside does
  const client = new pg.Client(databaseUrl)
  await client.connect()
  const locked = await client.query('SELECT id FROM "SceneVideo" WHERE id = $1 FOR UPDATE', [id])
  await client.end()
  expect(locked.rowCount).toBe(1)
  expect(taken).toBe(0)
})

it('a nats-server that is to be fetched is given up, with what to do instead', () => {
  const cache = mkdtempSync(join(tmpdir(), 'reelkeeper-cache-'))
  try {
    const code = `import { findNatsServer } from './services/dev/servers/nats-binary.ts'
      await findNatsServer(() => {}, { PATH: '/nowhere', XDG_CACHE_HOME: ${JSON.stringify(cache)} })`
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      env: { ...process.env, ...env, PATH: '/nowhere' },
      timeout: 170_000,
    })
    expect(run.signal).toBeNull()
    // unless one is installed in a usual place
    if (run.status !== 0) expect(run.stderr).toContain('NATS_SERVER_BIN')
  } finally {
    rmSync(cache, { recursive: true })
  }
})
