/**
 * The client's calls against the gateway's routes: what there is has a call, and what makes and
 * changes things works on the real gateway.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Reelkeeper } from '#libs/client/src/client.ts'
import { System } from '../support/system.ts'

const system = new System({ POLL_INTERVAL_MS: '500' })
let client: Reelkeeper
beforeAll(async () => {
  await system.start()
  client = new Reelkeeper({ baseUrl: system.dev.gatewayUrl, apiKey: system.dev.apiKey })
})
afterAll(() => system[Symbol.asyncDispose]())

/** Calls every method of the client and of its groups; what it would have sent. */
async function callsOf(): Promise<string[]> {
  const sent = new Set<string>()
  const fetch = (url: string | URL | Request, init: RequestInit = {}) => {
    const { pathname } = new URL(url as string)
    sent.add(`${init.method ?? 'GET'} ${pathname}`)
    const isStream = new Headers(init.headers).get('accept') === 'text/event-stream'
    return Promise.resolve(
      isStream ? new Response('', { status: 404 }) : Response.json({ id: 'x', data: [] }),
    )
  }
  const recorder = new Reelkeeper({ baseUrl: 'http://x', fetch: fetch as typeof globalThis.fetch })
  const at = { projectId: 'x', scriptId: 'x', sceneId: 'x' }
  const groups = Object.values(recorder) as object[]
  for (const group of [recorder, ...groups])
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(group))) {
      const method = (group as Record<string, unknown>)[name]
      if (name === 'constructor' || typeof method !== 'function') continue
      for (const first of ['x', at]) {
        const answer: unknown = method.call(group, first, {}, {})
        if (answer instanceof Promise) await answer.then(urlOf, () => {})
      }
    }
  function urlOf(answer: unknown): void {
    if (typeof answer === 'string') sent.add(`GET ${new URL(answer).pathname}`)
  }
  for (const target of [{}, { videoId: 'x' }]) urlOf(await recorder.streamUrl(target))
  await recorder.aiConfigs.put({ provider: 'x' })
  await recorder.aiConfigs.get()
  await recorder.aiConfigs.delete()
  await recorder.aiConfigs.test()
  for await (const _ of recorder.list()) break
  return [...sent]
}

it('has a call for every route', async () => {
  const answer = await fetch(`${system.dev.gatewayUrl}/openapi.json`)
  const { paths } = (await answer.json()) as { paths: Record<string, Record<string, unknown>> }
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const ours = routes.filter((route) => / \/api\/(?!ws$|operator\/)/.test(route))
  expect(ours.length).toBeGreaterThan(20)
  const calls = await callsOf()
  const isCalled = (route: string) => {
    const pattern = new RegExp(`^${route.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`)
    return calls.some((call) => pattern.test(call))
  }
  expect(ours.filter((route) => !isCalled(route))).toEqual([])
})

it('makes a project, a script and a scene, and a video in it', async () => {
  const project = await client.projects.create({ title: 'Pilot' })
  const script = await client.scripts.create(project.id, { title: 'One' })
  const at = { projectId: project.id, scriptId: script.id }
  const scene = await client.scenes.create(at, { prompt: 'a lighthouse' })
  const video = await client.generateVideo({ ...at, sceneId: scene.id })
  expect(video).toMatchObject({ prompt: 'a lighthouse', projectId: project.id })
})

it('makes, lists and revokes keys, and sets an account', async () => {
  const key = await client.apiKeys.create({ name: 'one', scopes: ['read'] })
  expect((await client.apiKeys.list()).map(({ id }) => id)).toContain(key.id)
  await client.apiKeys.revoke(key.id)
  const { projectId } = system.dev
  const body = { provider: 'toapis', apiKey: 'sk-of-your-own' }
  expect(await client.aiConfigs.put(body, projectId)).toMatchObject({ source: 'project' })
  expect(await client.aiConfigs.get(projectId)).toMatchObject({ apiKeyLast4: '-own' })
  await client.aiConfigs.delete(projectId)
  expect(await client.aiConfigs.get(projectId)).toMatchObject({ source: 'system' })
})

it('gives addresses with a token that opens a stream, and never with a key', async () => {
  await expect(client.streamUrl()).rejects.toMatchObject({ code: 'no_token' })
  const reader = new Reelkeeper({
    baseUrl: system.dev.gatewayUrl,
    token: async () => (await client.streamToken({ expiresInSeconds: 60 })).token,
  })
  const [first, second] = [await reader.streamUrl(), await reader.streamUrl({}, '1-1')]
  expect(new URL(second).searchParams.get('lastEventId')).toBe('1-1')
  const answer = await fetch(first)
  expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/)
  await answer.body?.cancel()
})
