/**
 * Two providers with accounts of the system, a user's own account at a third place, all at the same
 * time: every video goes to its provider, with its account's key, and is asked for there.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'

interface Seen {
  key: string | undefined
  path: string
  body: string
}
type Say = (request: IncomingMessage, body: string) => object

/** A provider that makes every video at once, and remembers who asked for what. */
async function provider(say: Say) {
  const seen: Seen[] = []
  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      seen.push({ key: request.headers.authorization, path: request.url ?? '', body })
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify(say(request, body)))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    seen,
    url: `http://127.0.0.1:${port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
type Running = Awaited<ReturnType<typeof provider>>

const link = (from: string) => `https://cdn.example.com/${from}.mp4`
const sayToapis: Say = ({ method, url }) =>
  method === 'POST'
    ? { id: 'toapis-task', status: 'queued' }
    : {
        id: url!.split('/').at(-1),
        status: 'completed',
        result: { data: [{ url: link('toapis') }] },
      }
const sayArk =
  (from: string): Say =>
  ({ method, url }) =>
    method === 'POST'
      ? { id: `${from}-task` }
      : {
          id: `${from}-task`,
          status: 'succeeded',
          content: { video_url: link(from) },
          items: [
            { id: `${from}-task`, status: 'succeeded', content: { video_url: link(from) }, url },
          ],
        }

let toapis: Running
let ark: Running
let own: Running
let system: System
beforeAll(async () => {
  ;[toapis, ark, own] = await Promise.all([
    provider(sayToapis),
    provider(sayArk('ark')),
    provider(sayArk('own')),
  ])
  system = new System({
    PROVIDERS: 'toapis,ark,kling',
    TOAPIS_BASE_URL: `${toapis.url}/v1`,
    TOAPIS_API_KEY: 'sk-system-toapis',
    ARK_BASE_URL: ark.url,
    ARK_API_KEY: 'sk-system-ark',
    ARK_MODEL: 'seedance-of-ours',
    // its own, asked by nobody
    KLING_BASE_URL: 'beijing',
    KLING_LOOK_UP_ANYWHERE: 'false',
    KLING_API_KEY: '',
    ALLOW_PRIVATE_BASE_URLS: 'true',
    POLL_INTERVAL_MS: '300',
  })
  await system.start()
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
  for (const one of [toapis, ark, own]) one.close()
})

const generate = (body: object) => system.submit(body)
const ended = (id: string) =>
  until(`the end of ${id}`, async () => {
    const video = await system.video(id)
    return ['completed', 'failed'].includes(video.status) ? video : undefined
  })

it('sends each video to its provider, with the key of its account', async () => {
  const first = [await generate({ prompt: 'a' }), await generate({ provider: 'ark', prompt: 'b' })]
  expect(await ended(first[0]!)).toMatchObject({
    provider: 'toapis',
    model: 'sora-2',
    guarantee: 'proven',
    videoUrl: link('toapis'),
  })
  expect(await ended(first[1]!)).toMatchObject({
    provider: 'ark',
    model: 'seedance-of-ours',
    guarantee: 'by_match',
    videoUrl: link('ark'),
  })
  // the user’s own account at one of them, while the system has one there too
  const { status, body } = await system.api('PUT', '/api/me/ai-config', {
    provider: 'ark',
    model: 'of-my-own',
    baseUrl: own.url,
    apiKey: 'sk-users-own',
  })
  expect([status, body['apiKeyLast4']]).toEqual([200, '-own'])
  const mine = await generate({ prompt: 'c' })
  const systems = await generate({ provider: 'toapis', prompt: 'd' })
  expect(await ended(mine)).toMatchObject({
    provider: 'ark',
    model: 'of-my-own',
    taskId: 'own-task',
  })
  expect(await ended(systems)).toMatchObject({ provider: 'toapis', model: 'sora-2' })
  const keys = (one: Running) => [...new Set(one.seen.map(({ key }) => key))]
  expect(keys(toapis)).toEqual(['Bearer sk-system-toapis'])
  expect(keys(ark)).toEqual(['Bearer sk-system-ark'])
  expect(keys(own)).toEqual(['Bearer sk-users-own'])
  const creates = (one: Running) =>
    one.seen.flatMap(({ body: sent }) =>
      sent ? [(JSON.parse(sent) as { model: string }).model] : [],
    )
  expect(creates(toapis)).toEqual(['sora-2', 'sora-2'])
  expect(creates(ark)).toEqual(['seedance-of-ours'])
  expect(creates(own)).toEqual(['of-my-own'])
})

it('fails at once, with the reason, where there is no account at a provider', async () => {
  const video = await ended(await generate({ provider: 'kling', prompt: 'x' }))
  expect(video).toMatchObject({ status: 'failed', error: { code: 'bad_key' } })
  expect(video.error?.message).toContain('kling')
  expect(video.guarantee).toBe('proven')
})

it('promises of a lost create what the account allows that the video is made with', async () => {
  const reseller = { provider: 'kling', baseUrl: own.url, apiKey: 'sk-users-own' }
  expect(await system.api('PUT', '/api/me/ai-config', reseller)).toMatchObject({ status: 200 })
  const guarantees = []
  for (const provider of ['kling', 'ark'])
    guarantees.push((await system.video(await generate({ provider, prompt: 'e' }))).guarantee)
  expect(guarantees).toEqual(['none', 'by_match'])
})

it.each([
  [{ provider: 'nobody' }, '/provider'],
  [{ provider: 'openai-videos' }, '/provider'],
  [{ provider: 'kling', model: 'kling-9' }, '/model'],
  [{ provider: 'kling', durationSeconds: 60 }, '/durationSeconds'],
  [{ provider: 'kling', aspectRatio: '5:4' }, '/aspectRatio'],
  [{ provider: 'kling', resolution: '8k' }, '/resolution'],
])('refuses %j at the gateway', async (body, pointer) => {
  const answer = await system.api('POST', system.generatePath(), { prompt: 'x', ...body })
  expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer }] } })
})

it('lists the models of the providers that are on', async () => {
  const { body } = await system.api('GET', '/api/models')
  const models = body['data'] as { provider: string; model: string; guarantee: string }[]
  expect([...new Set(models.map((one) => one.provider))]).toEqual(['toapis', 'ark', 'kling'])
  expect(models).toContainEqual(
    expect.objectContaining({ provider: 'ark', model: 'seedance-of-ours', guarantee: 'by_match' }),
  )
})

it('refuses a configuration of a provider that is off, or without a part of its credentials', async () => {
  const put = (body: object) => system.api('PUT', '/api/me/ai-config', body)
  expect(await put({ provider: 'openai-videos', apiKey: 'sk-12345678' })).toMatchObject({
    status: 422,
    body: { code: 'unknown_provider', errors: [{ pointer: '/provider' }] },
  })
  expect(await put({ provider: 'ark', credentials: { secretId: 'x' } })).toMatchObject({
    status: 422,
    body: { code: 'bad_credentials', errors: [{ pointer: '/credentials' }] },
  })
})
