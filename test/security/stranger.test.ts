/**
 * A whole system as `npm start` runs it, and strangers who come by HTTP: with the key of another
 * user, with too few scopes, with a token, with JWTs of their own making. What they try and get is
 * in the table of docs/security.md.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopes, userScopes } from '#libs/store/api-key.ts'
import { Issuer } from '../support/issuer.ts'
import { Contract } from '../support/openapi-contract.ts'
import { bodies, fill, ofNobody, operationsOf, type Operation } from '../support/operations.ts'
import { System } from '../support/system.ts'

const issuer = new Issuer()
let system: System
/** By scopes: keys of a user who is nobody's friend. */
const keys: Record<string, string> = {}
let strangerId = ''
let videoId = ''
let bulkId = ''
let operations: Operation[] = []

const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
function reelkeeper(...args: string[]): string {
  const run = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', cli, ...args], {
    cwd: system.dir,
    encoding: 'utf8',
  })
  if (run.status !== 0) throw new Error(run.stderr)
  return run.stdout.trim()
}
const newKey = (user: string, given: string) =>
  reelkeeper('keys', 'create', '--user', user, '--scopes', given)

beforeAll(async () => {
  await issuer.start()
  system = new System({ ...issuer.settings })
  await system.start()
  strangerId = reelkeeper('users', 'create', 'stranger')
  keys['all'] = newKey(strangerId, userScopes.join())
  for (const scope of scopes) keys[`no ${scope}`] = newKey(strangerId, without(scope))
  videoId = await system.submit({ prompt: '[slow]' })
  bulkId = String(
    (await system.api('POST', '/api/bulk-actions', { action: 'retry', filter: {} })).body['id'],
  )
  operations = operationsOf({ contract: await Contract.of(system.dev.gatewayUrl) })
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

const without = (scope: string) => scopes.filter((one) => one !== scope).join()

interface Asked {
  status: number
  body: Record<string, unknown>
  headers: Headers
}
async function ask(method: string, path: string, key: string | null, body?: unknown) {
  const response = await fetch(system.dev.gatewayUrl + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(20_000),
  })
  const { status, headers } = response
  if (headers.get('content-type') === 'text/event-stream') {
    await response.body?.cancel()
    return { status, headers, body: {} } as Asked
  }
  const text = await response.text()
  return { status, headers, body: text ? JSON.parse(text) : {} } as Asked
}
const own = (template: string) =>
  fill(template, {
    ...system.dev,
    sceneId: system.dev.sceneIds[0]!,
    videoId,
    keyId: system.dev.apiKey.split('_')[1]!,
    bulkId,
  })
const said = ({ status, body }: Asked) => [status, { ...body, requestId: null }]

it('with nothing gets 401 from every operation of the API, and nothing but that', async () => {
  const api = operations.filter(({ template }) => template.startsWith('/api/'))
  expect(api.length).toBeGreaterThan(50)
  for (const { method, template, operationId } of api) {
    const answer = await ask(method, own(template), null, bodies[operationId])
    expect([answer.status, answer.body['code']], `${method} ${template}`).toEqual([
      401,
      'unauthorized',
    ])
  }
})

it('with every scope but the one that is needed gets 403 from every operation', async () => {
  let asked = 0
  for (const { method, template, operationId, security } of operations) {
    const [scope] = security?.find((one) => one.apiKey)?.apiKey ?? []
    if (scope === undefined) continue
    asked++
    const key = keys[`no ${scope}`]!
    const answer = await ask(method, own(template), key, bodies[operationId])
    expect([answer.status, answer.body['code']], `${method} ${template}`).toEqual([
      403,
      'insufficient_scope',
    ])
  }
  expect(asked).toBeGreaterThan(50)
})

it('is told of what is somebody else’s what is told of what is not there', async () => {
  const withIds = operations.filter(
    ({ template }) => /^\/api\/(?!operator)/.test(template) && template.includes('{'),
  )
  expect(withIds.length).toBeGreaterThan(25)
  for (const { method, template, operationId } of withIds) {
    const theirs = await ask(method, own(template), keys['all']!, bodies[operationId])
    const nobodys = await ask(method, fill(template, ofNobody), keys['all']!, bodies[operationId])
    expect(said(theirs), `${method} ${template}`).toEqual(said(nobodys))
    expect(theirs.status, `${method} ${template}`).toBe(404)
  }
  const { projectId, scriptId, sceneIds } = system.dev
  for (const filter of ['', `?projectId=${projectId}`, `?scriptId=${scriptId}`, `?q=${videoId}`])
    expect((await ask('GET', `/api/scene-videos${filter}`, keys['all']!)).body['data']).toEqual([])
  const mine = await ask('POST', '/api/projects', keys['all']!, { title: 'mine' })
  // somebody else's script or scene under a project of one's own
  const crossed = `/api/projects/${String(mine.body['id'])}/scripts/${scriptId}/scenes`
  for (const [method, path] of [
    ['GET', crossed],
    ['POST', `${crossed}/${sceneIds[0]}/generate-video`],
  ] as const)
    expect((await ask(method, path, keys['all']!)).status).toBe(404)
  expect((await system.video(videoId)).status).not.toBe('failed')
})

describe('a token', () => {
  it('only reads, only what it names, and a key is taken from no address', async () => {
    const { projectId, apiKey } = system.dev
    const made = await ask('POST', '/api/stream-tokens', apiKey, { projectId })
    const token = String(made.body['token'])
    const reads = new Set(
      operations.filter(({ security }) => security?.some((one) => one.token)).map(nameOf),
    )
    for (const operation of operations) {
      const { method, template, operationId } = operation
      if (!template.startsWith('/api/') || reads.has(nameOf(operation))) continue
      for (const [path, key] of [
        [own(template), token],
        [`${own(template)}?token=${token}`, null],
      ] as const)
        expect((await ask(method, path, key, bodies[operationId])).status, template).toBe(401)
    }
    expect(reads.size).toBeGreaterThan(5)
    const elsewhere = await ask('POST', '/api/videos', apiKey, { prompt: 'in another project' })
    const other = String(elsewhere.body['id'])
    for (const path of [`/api/scene-videos/${other}`, `/api/scene-videos/${other}/events`])
      expect((await ask('GET', `${path}?token=${token}`, null)).status, path).toBe(404)
    expect((await ask('GET', `/api/scene-videos/${videoId}?token=${token}`, null)).status).toBe(200)
    for (const path of [...reads].filter((one) => one.startsWith('GET')).map(pathOf))
      expect((await ask('GET', `${path}?token=${apiKey}`, null)).status, path).toBe(401)
    const [head, claims] = token.split('.') as [string, string]
    for (const forged of [
      `${head}.${claims}.`,
      `${b64({ alg: 'none' })}.${claims}.`,
      `${b64({ alg: 'HS512' })}.${claims}.${token.split('.')[2]}`,
    ])
      expect((await ask('GET', `/api/events?token=${forged}`, null)).status).toBe(401)
  })
  const nameOf = ({ method, template }: Operation) => `${method} ${template}`
  const pathOf = (name: string) => own(name.slice('GET '.length))
  const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
})

describe('a JWT', () => {
  it('stands for nobody there was before, and its scope gives no more than a key may have', async () => {
    const victim = await issuer.sign({ sub: system.dev.userId, scope: 'read write admin operator' })
    expect((await ask('GET', '/api/scene-videos', victim)).body['data']).toEqual([])
    expect((await ask('GET', '/api/operator/videos', victim)).status).toBe(403)
    for (const sub of [7, '', 'a\0b', ['x'], null]) {
      const odd = await issuer.sign({ sub } as never)
      expect((await ask('GET', '/api/me', odd)).status, JSON.stringify(sub)).toBe(401)
    }
    for (const over of [{ aud: 'other' }, { iss: 'https://evil.example' }, { exp: '-1m' }])
      expect((await ask('GET', '/api/me', await issuer.sign({ sub: 'x' }, over))).status).toBe(401)
  })
})

it('has its limits: of creates, keys and streams, and is told which', async () => {
  reelkeeper('users', 'limits', strangerId, 'createsPerDay=1,apiKeys=3,streams=1,openVideos=100')
  const refused = async (method: string, path: string, body?: unknown) => {
    for (let i = 0; i < 30; i++) {
      const { status, body: answer } = await ask(method, path, keys['all']!, body)
      if (status === 429) return (answer['limit'] as { name?: string } | undefined)?.name
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    return 'nothing'
  }
  expect(await refused('POST', '/api/videos', { prompt: 'x' })).toBe('createsPerDay')
  expect(await refused('POST', '/api/api-keys', { scopes: ['read'] })).toBe('apiKeys')
  expect((await ask('POST', '/api/videos', system.dev.apiKey, { prompt: 'x' })).status).toBe(202)
})

it.each([
  'https://127.0.0.1',
  'https://localhost',
  'https://localhost..',
  'https://0',
  'https://0.0.0.0',
  'https://2130706433',
  'https://0x7f.1',
  'https://0177.0.0.1',
  'https://１２７.0.0.1',
  'https://[::1]',
  'https://[::ffff:127.0.0.1]',
  'https://[::ffff:0:7f00:1]',
  'https://[64:ff9b::7f00:1]',
  'https://[2002:7f00:1::]',
  'https://[fe80::1]',
  'https://[fd00::1]',
  'https://10.0.0.1',
  'https://100.64.0.1',
  'https://169.254.169.254',
  'https://192.168.0.1',
  'http://example.com',
])('sends no key of its own to %s', async (baseUrl) => {
  const body = { provider: 'toapis', baseUrl, apiKey: 'sk-of-a-stranger' }
  const { status, body: answer } = await ask('PUT', '/api/me/ai-config', keys['all']!, body)
  expect([status, answer['code']]).toEqual([422, 'base_url_not_allowed'])
})

it('learns nothing of the operator’s account, nor what is behind an address', async () => {
  const { body } = await ask('GET', '/api/me/ai-config', keys['all']!)
  expect(body).toMatchObject({ source: 'system', baseUrl: null, apiKeyLast4: null })
  const answers = new Set<string>()
  for (const host of ['nobody.invalid', 'also-nobody.invalid']) {
    const config = { provider: 'toapis', baseUrl: `https://${host}`, apiKey: 'sk-of-a-stranger' }
    expect((await ask('PUT', '/api/me/ai-config', keys['all']!, config)).status).toBe(200)
    answers.add(JSON.stringify((await ask('POST', '/api/me/ai-config/test', keys['all']!)).body))
  }
  expect([...answers]).toEqual([expect.stringContaining('no_answer')])
  await ask('DELETE', '/api/me/ai-config', keys['all']!)
})
