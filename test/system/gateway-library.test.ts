/** Projects, scripts and scenes are found again, changed, archived, restored and erased. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
let stranger = ''
beforeAll(async () => {
  await stack.start()
  stranger = await stack.stranger()
})
afterAll(() => stack[Symbol.asyncDispose]())

type Entry = Record<string, unknown> & { id: string }
const post = async (path: string, body?: unknown, key = stack.apiKey) =>
  stack.ask('POST', path, { body, key })
const made = async (path: string, body: unknown) => (await post(path, body)).body as Entry
const get = async (path: string, key = stack.apiKey) => stack.ask('GET', path, { key })
const listed = async (path: string) => (await get(path)).body.data as unknown as Entry[]

async function newScript(title: string) {
  const project = await made('/api/projects', { title })
  const projectPath = `/api/projects/${project.id}`
  const script = await made(`${projectPath}/scripts`, { title: 'One' })
  return { project, projectPath, script, scriptPath: `${projectPath}/scripts/${script.id}` }
}

it('finds again what was made, in pages', async () => {
  const { project, projectPath, script, scriptPath } = await newScript('found again')
  const scenes: Entry[] = []
  for (const prompt of ['first', 'second', 'third'])
    scenes.push(await made(`${scriptPath}/scenes`, { prompt }))
  expect((await listed('/api/projects'))[0]).toEqual(project)
  expect(await listed(`${projectPath}/scripts`)).toEqual([script])
  expect((await get(scriptPath)).body).toEqual(script)
  // in the order of the script
  const page = await get(`${scriptPath}/scenes?limit=2`)
  expect(page.body).toMatchObject({ data: scenes.slice(0, 2), hasMore: true })
  const rest = await get(`${scriptPath}/scenes?limit=2&after=${String(page.body['next'])}`)
  expect(rest.body).toMatchObject({ data: scenes.slice(2), hasMore: false, next: null })
  for (let i = 0; i < 3; i++) await made('/api/projects', { title: `page ${i}` })
  const seen: string[] = []
  for (let after = ''; ;) {
    const { body } = await get(`/api/projects?limit=2${after && `&after=${after}`}`)
    seen.push(...(body.data as unknown as Entry[]).map((one) => one.id))
    if (!body['hasMore']) break
    after = String(body['next'])
  }
  expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => (a < b ? 1 : -1)))
  expect(seen).toContain(stack.demo.projectId)
  for (const path of ['/api/projects', `${scriptPath}/scenes`])
    for (const query of ['limit=0', 'after=x', 'archived=maybe', 'sort=title'])
      expect((await get(`${path}?${query}`)).status, `${path}?${query}`).toBe(400)
})

it('shows each scene with its newest video', async () => {
  const { projectPath, scriptPath } = await newScript('newest')
  const scene = await made(`${scriptPath}/scenes`, { prompt: 'a lighthouse' })
  const { id: archived } = await made(`${scriptPath}/scenes`, { prompt: 'put away' })
  await post(`${scriptPath}/scenes/${archived}/archive`)
  await made(`${scriptPath}/scenes`, { prompt: 'without a video' })
  expect(scene['newestVideo']).toBeNull()
  const path = `${scriptPath}/scenes/${scene.id}`
  await post(`${path}/generate-video`)
  const newest = (await post(`${path}/generate-video`, { prompt: 'another' })).body as Entry
  const [shown] = await listed(`${scriptPath}/scenes`)
  expect(shown).toMatchObject({ newestVideo: { id: newest.id, prompt: 'another' } })
  expect((await get(path)).body).toMatchObject({ newestVideo: { id: newest.id } })
  // two videos of one scene are two of the project, and one scene
  expect((await get(projectPath)).body).toMatchObject({
    counts: { pending: 2 },
    scenes: { none: 1, pending: 1, generating: 0, completed: 0, failed: 0 },
  })
})

it('changes titles and prompts, and only those given', async () => {
  const { projectPath, scriptPath } = await newScript('before')
  const scene = await made(`${scriptPath}/scenes`, { title: 't', prompt: 'p' })
  const patch = async (path: string, body: unknown, key = stack.apiKey) =>
    stack.ask('PATCH', path, { body, key })
  expect((await patch(projectPath, { title: 'after' })).body).toMatchObject({ title: 'after' })
  expect((await patch(scriptPath, { title: 'after' })).body).toMatchObject({ title: 'after' })
  const path = `${scriptPath}/scenes/${scene.id}`
  expect((await patch(path, { prompt: 'q' })).body).toMatchObject({ title: 't', prompt: 'q' })
  expect((await patch(path, { title: null })).body).toMatchObject({ title: null, prompt: 'q' })
  for (const [at, body] of [
    [projectPath, {}],
    [projectPath, { title: '' }],
    [projectPath, { prompt: 'x' }],
    [path, { prompt: '' }],
  ] as const)
    expect((await patch(at, body)).status).toBe(400)
  expect((await patch(path, { prompt: 'theirs' }, stranger)).status).toBe(404)
  expect((await get(path)).body).toMatchObject({ prompt: 'q' })
})

it('archives what is then out of the lists and takes nothing new, and restores it', async () => {
  const { project, projectPath, scriptPath } = await newScript('archived')
  const scene = await made(`${scriptPath}/scenes`, { prompt: 'p' })
  const first = await post(`${projectPath}/archive`)
  expect(first.body['archivedAt']).toEqual(expect.any(String))
  expect((await post(`${projectPath}/archive`)).body).toEqual(first.body)
  const ids = async (query: string) =>
    (await listed(`/api/projects?limit=100${query}`)).map((one) => one.id)
  expect(await ids('')).not.toContain(project.id)
  expect(await ids('&archived=true')).toContain(project.id)
  for (const [path, body] of [
    [`${projectPath}/scripts`, { title: 'x' }],
    [`${scriptPath}/scenes`, { prompt: 'x' }],
  ] as const) {
    const refused = await post(path, body)
    expect([refused.status, refused.body['code']]).toEqual([409, 'archived'])
  }
  expect((await post(`${scriptPath}/scenes/${scene.id}/generate-video`)).status).toBe(404)
  expect((await post(`${projectPath}/restore`)).body['archivedAt']).toBeNull()
  expect(await ids('')).toContain(project.id)
  expect((await post(`${scriptPath}/scenes/${scene.id}/generate-video`)).status).toBe(202)
  expect((await post(`${projectPath}/archive`, undefined, stranger)).status).toBe(404)
})

it('erases what is archived with its videos, and keeps what says what was paid', async () => {
  const { project, projectPath, scriptPath } = await newScript('a secret title')
  const scene = await made(`${scriptPath}/scenes`, { prompt: 'a secret prompt' })
  const body = { metadata: { secret: 'a secret word' } }
  const video = (await post(`${scriptPath}/scenes/${scene.id}/generate-video`, body)).body as Entry
  const path = `/api/scene-videos/${video.id}`
  const remove = (at: string, key = stack.apiKey) => stack.ask('DELETE', at, { key })
  await until('an intent', async () =>
    (await stack.db.submission.count({ where: { videoId: video.id } })) > 0 ? true : undefined,
  )
  expect((await remove(projectPath)).body['code']).toBe('not_archived')
  await post(`${projectPath}/archive`)
  expect((await remove(projectPath)).body['code']).toBe('not_ended')
  expect((await remove(path)).body['code']).toBe('not_ended')
  await stack.db.sceneVideo.update({
    where: { id: video.id },
    data: { status: 'completed', phase: 'done', videoUrl: 'https://cdn.example.com/secret.mp4' },
  })
  expect((await remove(projectPath, stranger)).status).toBe(404)
  expect((await remove(projectPath)).status).toBe(204)
  for (const at of [projectPath, scriptPath, path, `${path}/timeline`, `${path}/submissions`])
    expect((await get(at)).status, at).toBe(404)
  expect((await remove(projectPath)).status).toBe(404)
  const [row, timeline, sends, left] = [
    await stack.db.sceneVideo.findUniqueOrThrow({ where: { id: video.id } }),
    await stack.db.timeline.findMany({ where: { videoId: video.id } }),
    await stack.db.submission.findMany({ where: { videoId: video.id } }),
    await stack.db.project.findUniqueOrThrow({ where: { id: project.id } }),
  ]
  const words = JSON.stringify([row, timeline, left, await stack.db.scene.findMany()], (_, one) =>
    typeof one === 'bigint' ? String(one) : one,
  )
  expect(words).not.toMatch(/secret/)
  expect(row).toMatchObject({ userId: stack.demo.userId, provider: 'toapis' })
  expect(sends).toHaveLength(1)
})

it('erases one ended video, which then is in no list', async () => {
  const { body } = await post(`${stack.scenePath}/generate-video`, { prompt: 'gone' })
  const id = String(body['id'])
  await stack.db.sceneVideo.update({
    where: { id },
    data: { status: 'failed', phase: 'done', errorCode: 'provider_failed', errorMessage: 'gone' },
  })
  const path = `/api/scene-videos/${id}`
  expect((await stack.ask('DELETE', path, { key: stranger })).status).toBe(404)
  expect((await stack.ask('DELETE', path)).status).toBe(204)
  expect((await stack.ask('DELETE', path)).status).toBe(404)
  const ids = (await listed('/api/scene-videos?limit=100')).map((one) => one.id)
  expect(ids).not.toContain(id)
  expect((await post(`${path}/retry`)).status).toBe(404)
})

it('says who one is, and with which key', async () => {
  expect((await get('/api/me')).body).toMatchObject({
    userId: stack.demo.userId,
    name: 'demo',
    key: { id: 'demo', name: 'demo', scopes: ['read', 'write', 'configure', 'admin'] },
    version: expect.stringMatching(/^\d+\.\d+/),
    features: expect.arrayContaining(['prefer-wait']),
  })
  // whatever a key may do, it may ask that
  for (const scopes of [['write'], ['operator']] as const) {
    const key = await stack.keyWith([...scopes])
    expect((await stack.ask('GET', '/api/me', { key })).body).toMatchObject({ scopes })
  }
})
