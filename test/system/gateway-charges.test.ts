/** What is made is charged once, and what is not made is not charged. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { failedVideo, forgetVideos } from '../support/failed-videos.ts'
import { Stack } from '../support/gateway-kit.ts'
import { pause, until } from '../support/system.ts'

const stack = new Stack({ PRICES: 'toapis/*=2/video', MAX_SPEND_PER_DAY: '6' })
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())
beforeEach(async () => {
  await forgetVideos(stack)
  await stack.db.userSpend.deleteMany({})
})

const post = (path: string, body: unknown = {}, headers: Record<string, string> = {}) =>
  stack.ask('POST', path, { body, headers })
const spent = async () => {
  const { body } = await stack.ask('GET', '/api/me/limits')
  return (body['spendPerDay'] as unknown as { used: number }).used
}
const failedAnew = async () => {
  const id = await failedVideo(stack, 'timed_out')
  return { id, path: `/api/scene-videos/${id}` }
}
const under = (key: string) => ({ 'idempotency-key': key })
const endOf = (id: unknown) =>
  until('the bulk action to end', async () => {
    const { body } = await stack.ask('GET', `/api/bulk-actions/${String(id)}`)
    return body['status'] === 'running' ? undefined : body
  })

it('a bulk retry charges what it retries, and nothing that it does not', async () => {
  const { id, path } = await failedAnew()
  const bulk = { action: 'retry', ids: [id] }
  // of two at once under one key one is made
  const both = await Promise.all([1, 2].map(() => post('/api/bulk-actions', bulk, under('two'))))
  expect(both.map((one) => one.status)).toEqual([202, 202])
  await endOf(both[0]!.body['id'])
  expect([await spent(), both[0]!.body['id']]).toEqual([2, both[1]!.body['id']])
  // another body under the same key is refused
  const other = await failedAnew()
  const reused = await post('/api/bulk-actions', { ...bulk, ids: [other.id] }, under('two'))
  expect([reused.status, await spent()]).toEqual([422, 2])
  // what is refused, its video being retried already or erased, is not charged
  const ids = [other.id, (await failedAnew()).id, (await failedAnew()).id]
  await post(`${path}/cancel`)
  expect((await stack.ask('DELETE', `/api/scene-videos/${ids[1]}`)).status).toBe(204)
  const some = await post('/api/bulk-actions', { action: 'retry', ids: [ids[0], ids[1]] })
  expect(await endOf(some.body['id'])).toMatchObject({ counts: { done: 1, skipped: 1 } })
  expect(await spent()).toBe(4)
  // it says what each costs, as a retry of one does
  expect((await stack.ask('GET', `/api/scene-videos/${ids[0]}`)).body['cost']).toMatchObject({
    amount: 2,
  })
})

it('bulk retries beyond the budget are refused, one by one where another was quicker', async () => {
  const ids = await Promise.all(Array.from({ length: 6 }, async () => (await failedAnew()).id))
  expect((await post('/api/bulk-actions', { action: 'retry', ids })).status).toBe(402)
  const two = await Promise.all(
    [ids.slice(0, 3), ids.slice(3)].map((some) =>
      post('/api/bulk-actions', { action: 'retry', ids: some }),
    ),
  )
  const ends = await Promise.all(
    two.filter((one) => one.status === 202).map((one) => endOf(one.body['id'])),
  )
  const done = ends.map(({ counts }) => (counts as unknown as { done: number }).done)
  expect(done.reduce((sum, one) => sum + one, 0)).toBe(3)
  expect(await spent()).toBe(6)
  expect(await stack.db.sceneVideo.count({ where: { attempt: 2 } })).toBe(3)
})

it('a retry sent again under its key is charged once, also after it failed again', async () => {
  const { id, path } = await failedAnew()
  expect((await post(`${path}/retry`, {}, under('once'))).status).toBe(202)
  expect(await spent()).toBe(2)
  await stack.db.submission.deleteMany({ where: { videoId: id } })
  await stack.db.sceneVideo.update({
    where: { id },
    data: { status: 'failed', phase: 'done', errorCode: 'timed_out', errorMessage: '' },
  })
  const again = await post(`${path}/retry`, {}, under('once'))
  expect([again.status, again.body['attempt'], await spent()]).toEqual([202, 2, 2])
  // what cannot be retried is told so, also where nothing is left to spend
  await stack.db.userSpend.updateMany({ data: { dayMicros: 6_000_000 } })
  const made = { status: 'completed' as const, errorCode: null }
  await stack.db.sceneVideo.update({ where: { id }, data: made })
  const ended = await post(`${path}/retry`)
  expect([ended.status, ended.body['code'], await spent()]).toEqual([409, 'not_failed', 6])
})

it('of many at once, all of which seem to fit, those are made that do', async () => {
  const ids = await Promise.all(Array.from({ length: 6 }, async () => (await failedAnew()).id))
  const path = `/api/projects/${stack.demo.projectId}/retry-failed`
  expect((await post(path, { ids })).status).toBe(402)
  const some = [ids.slice(0, 3), ids.slice(3)].map((three) => post(path, { ids: three }))
  for (const { status } of await Promise.all(some)) expect([202, 402]).toContain(status)
  const made = await stack.db.sceneVideo.count({ where: { attempt: 2 } })
  expect([made, await spent()]).toEqual([3, 6])
})

it('many at once under one key are charged once', async () => {
  await failedAnew()
  const path = `/api/projects/${stack.demo.projectId}/retry-failed`
  const both = await Promise.all([1, 2].map(() => post(path, {}, under('many'))))
  expect(both.map((one) => one.status)).toEqual([202, 202])
  expect(await spent()).toBe(2)
})

it('what nobody could carry out is not charged', async () => {
  const { projectId, scriptId } = stack.demo
  await failedAnew()
  await stack.first.submit[Symbol.asyncDispose]()
  const script = `/api/projects/${projectId}/scripts/${scriptId}`
  for (const [path, body] of [
    ['/api/videos', { prompt: 'x' }],
    [`${stack.scenePath}/generate-video`, {}],
    [`/api/projects/${projectId}/retry-failed`, {}],
    [`${script}/generate-videos`, { only: 'missing' }],
  ] as const) {
    expect([(await post(path, body)).status, await spent()], path).toEqual([503, 0])
  }
  const keyed = await Promise.all(
    [1, 2, 3].map(() => post('/api/videos', { prompt: 'x' }, under('away'))),
  )
  expect(keyed.map((one) => one.status)).toEqual([503, 503, 503])
  expect(await spent()).toBe(0)
  stack.first.submit = await stack.submit()
  expect((await post('/api/videos', { prompt: 'x' }, under('away'))).status).toBe(202)
  expect(await spent()).toBe(2)
})

it('of requests for many under one key none is refused where there is room for one', async () => {
  const script = `/api/projects/${stack.demo.projectId}/scripts`
  const made = await post(script, { title: 'three' })
  const scenes = `${script}/${String(made.body['id'])}/scenes`
  for (const prompt of ['a', 'b', 'c']) expect((await post(scenes, { prompt })).status).toBe(201)
  const asked = [
    { path: scenes.replace(/scenes$/, 'generate-videos'), body: { only: 'all' } },
    { path: `/api/projects/${stack.demo.projectId}/retry-failed`, body: {} },
  ]
  for (let round = 0; round < 10; round++)
    for (const { path, body } of asked) {
      await forgetVideos(stack)
      await stack.db.userSpend.deleteMany({})
      if (path.endsWith('retry-failed')) for (let i = 0; i < 3; i++) await failedAnew()
      const key = under(`${round} ${path}`)
      const all = await Promise.all(
        [0, 10, 20, 30].map(async (ms) => {
          await pause(ms)
          return post(path, body, key)
        }),
      )
      expect(all.map((one) => one.status)).toEqual([202, 202, 202, 202])
      expect(await spent()).toBe(6)
    }
})
