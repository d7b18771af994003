/** Starting videos: by a prompt alone, for a whole script, and what is refused at once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'

const stack = new Stack()
let stranger = ''
beforeAll(async () => {
  await stack.start()
  await stack.simulate({ minSeconds: 1, maxSeconds: 1, tier: 'off' })
  await stack.poller()
  stranger = await stack.stranger()
})
afterAll(() => stack[Symbol.asyncDispose]())

type Entry = Record<string, unknown> & { id: string }
const post = (
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
  key = stack.apiKey,
) => stack.ask('POST', path, { body, headers, key })

describe('a prompt alone', () => {
  it('makes a video in the user’s own project, which is made once', async () => {
    const prompts = Array.from({ length: 6 }, (_, i) => `a boat ${i}`)
    const answers = await Promise.all(prompts.map((prompt) => post('/api/videos', { prompt })))
    expect(answers.map((one) => one.status)).toEqual(prompts.map(() => 202))
    expect(new Set(answers.map((one) => one.body['projectId'])).size).toBe(1)
    expect(new Set(answers.map((one) => one.body['sceneId'])).size).toBe(prompts.length)
    expect(answers.map((one) => one.body['prompt'])).toEqual(prompts)
    const theirs = await post('/api/videos', { prompt: 'theirs' }, {}, stranger)
    expect(theirs.body['projectId']).not.toBe(answers[0]!.body['projectId'])
  })

  it('makes it once under one key, with its scene', async () => {
    const headers = { 'idempotency-key': 'simple' }
    const scenes = () => stack.db.scene.count()
    const first = await post('/api/videos', { prompt: 'once' }, headers)
    const before = await scenes()
    const again = await post('/api/videos', { prompt: 'once' }, headers)
    expect([again.status, again.body['id']]).toEqual([202, first.body['id']])
    expect(await scenes()).toBe(before)
    const other = await post('/api/videos', { prompt: 'twice' }, headers)
    expect([other.status, other.body['code']]).toEqual([422, 'idempotency_key_reused'])
    expect((await post('/api/videos', {})).status).toBe(400)
  })

  it('goes on after the own project was archived: another one is made', async () => {
    const first = await post('/api/videos', { prompt: 'one' })
    await post(`/api/projects/${String(first.body['projectId'])}/archive`)
    const second = await post('/api/videos', { prompt: 'two' })
    expect(second.status).toBe(202)
    expect(second.body['projectId']).not.toBe(first.body['projectId'])
  })
})

describe('a whole script', () => {
  async function script(prompts: string[]) {
    const { id } = (await post('/api/projects', { title: 'p' })).body as Entry
    const made = (await post(`/api/projects/${id}/scripts`, { title: 's' })).body as Entry
    const path = `/api/projects/${id}/scripts/${made.id}`
    const scenes: string[] = []
    for (const prompt of prompts)
      scenes.push(((await post(`${path}/scenes`, { prompt })).body as Entry).id)
    return { path, scenes }
  }

  it('gets a video for each scene that has none, or for all; a dry run makes nothing', async () => {
    const { path, scenes } = await script(['a', 'b', 'c'])
    await post(`${path}/scenes/${scenes[0]}/generate-video`)
    const count = () => stack.db.sceneVideo.count({ where: { sceneId: { in: scenes } } })
    const dry = await post(`${path}/generate-videos`, { dryRun: true })
    expect([dry.status, dry.body]).toEqual([
      200,
      {
        data: [],
        sceneIds: scenes.slice(1),
        cost: { late: 0, adopted: 0, creates: 2, waiting: 0, price: null },
        dryRun: true,
      },
    ])
    expect(await count()).toBe(1)
    const headers = { 'idempotency-key': 'script' }
    const missing = await post(`${path}/generate-videos`, { durationSeconds: 5 }, headers)
    expect(missing.status).toBe(202)
    const videos = missing.body.data as unknown as Entry[]
    expect(videos).toMatchObject(
      scenes.slice(1).map((sceneId) => ({ sceneId, params: { durationSeconds: 5 } })),
    )
    const again = await post(`${path}/generate-videos`, { durationSeconds: 5 }, headers)
    expect((again.body.data as unknown as Entry[]).map((one) => one.id)).toEqual(
      videos.map((one) => one.id),
    )
    expect((await post(`${path}/generate-videos`)).body['data']).toEqual([])
    const all = await post(`${path}/generate-videos`, { only: 'all' })
    expect(all.body['sceneIds']).toEqual(scenes)
    expect(await count()).toBe(6)
    expect((await post(`${path}/generate-videos`, {}, {}, stranger)).status).toBe(404)
  })
})

describe('Prefer: wait', () => {
  it('answers when the video has ended', async () => {
    const wait = { prefer: 'respond-async, wait=30' }
    const made = await post('/api/videos', { prompt: 'quick' }, wait)
    expect([made.status, made.body['status'], made.headers.get('preference-applied')]).toEqual([
      202,
      'completed',
      'wait=30',
    ])
    const failed = await post('/api/videos', { prompt: '[fail]' })
    const path = `/api/scene-videos/${String(failed.body['id'])}`
    const read = await stack.ask('GET', path, { headers: { prefer: 'wait=30' } })
    expect(read.body).toMatchObject({ status: 'failed', error: { code: 'provider_failed' } })
    // it had ended before: at once
    const again = await stack.ask('GET', path, { headers: { prefer: 'wait=30' } })
    expect(again.headers.get('preference-applied')).toBe('wait=30')
  })

  it('answers when the time is over, and at once without a number', async () => {
    const made = await post('/api/videos', { prompt: '[slow]' }, { prefer: 'wait=1' })
    expect([made.status, made.body['completedAt']]).toEqual([202, null])
    const path = `/api/scene-videos/${String(made.body['id'])}`
    for (const prefer of ['wait', 'wait=0', 'return=minimal', 'x'.repeat(150)]) {
      const answer = await stack.ask('GET', path, { headers: { prefer } })
      expect([answer.status, answer.headers.get('preference-applied')]).toEqual([200, null])
    }
    await stack.ask('POST', `${path}/cancel`)
  })
})

describe('what is not to be had', () => {
  it('is refused at once, with the field: 422', async () => {
    const refused = async (body: object) => {
      const answer = await post(`${stack.scenePath}/generate-video`, body)
      const [error] = answer.body['errors'] as unknown as { pointer: string }[]
      return [answer.status, answer.body['code'], error!.pointer]
    }
    expect(await refused({ provider: 'nobody' })).toEqual([422, 'unknown_provider', '/provider'])
    expect(await refused({ model: 'nothing' })).toEqual([422, 'unknown_model', '/model'])
    for (const aspectRatio of ['0:0', '16:0', '00:9'])
      expect(await refused({ aspectRatio })).toEqual([422, 'unsupported_value', '/aspectRatio'])
    expect(await refused({ provider: 'toapis', model: 'nothing' })).toEqual([
      422,
      'unknown_model',
      '/model',
    ])
  })

  it('is told beforehand: models, with what they take as far as it is known', async () => {
    const { body } = await stack.ask('GET', '/api/models')
    const models = body.data as unknown as { provider: string; model: string }[]
    expect(models).toContainEqual(
      expect.objectContaining({ provider: 'toapis', model: 'sora-2', guarantee: 'proven' }),
    )
    for (const { provider, model } of models)
      expect((await post('/api/videos', { prompt: 'x', provider, model })).status).toBe(202)
  })

  it('is not what a user configured: a model of its own account is taken', async () => {
    const body = { provider: 'toapis', model: 'mine', apiKey: 'sk-of-my-own' }
    await stack.ask('PUT', '/api/me/ai-config', { body, key: stranger })
    const made = await post('/api/videos', { prompt: 'x', model: 'mine' }, {}, stranger)
    expect([made.status, made.body['model']]).toEqual([202, 'mine'])
    expect((await post('/api/videos', { prompt: 'x', model: 'mine' })).status).toBe(422)
  })
})

it('shows at once that a cancel was asked for, as a version of its own', async () => {
  const made = await post('/api/videos', { prompt: '[slow]' })
  const path = `/api/scene-videos/${String(made.body['id'])}`
  for (let version = 1; version < 3;)
    version = Number((await stack.ask('GET', path)).body['version'])
  const cancelled = await post(`${path}/cancel`)
  const again = await post(`${path}/cancel`)
  expect([cancelled.status, cancelled.body['phase']]).toEqual([202, 'cancelling'])
  const ended = await stack.ask('GET', path, { headers: { prefer: 'wait=30' } })
  expect(ended.body).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  const entries = (await stack.ask('GET', `${path}/timeline?snapshots=true`)).body
    .data as unknown as { version: number; phase: string; snapshot: Entry | null }[]
  for (const { body } of [made, cancelled, again, ended]) {
    const told = entries.filter(({ version }) => version === body['version'])
    const phases = told.flatMap(({ phase, snapshot }) => [phase, snapshot?.['phase']])
    expect(phases, `v${String(body['version'])}`).toEqual([body['phase'], body['phase']])
  }
})
