/** What projects keep of their files: by days and by bytes, and never what is to be kept. */
import { spawnSync } from 'node:child_process'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openFileStore } from '#libs/files/settings.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { v7 } from '#libs/runtime/uuid.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
beforeAll(async () => {
  await stack.start()
  await stack.archiver()
})
afterAll(() => stack[Symbol.asyncDispose]())

const day = 86_400_000
/** A project with a stored file of 100 bytes for each of these ages, in days. */
async function projectOf(files: { age: number; keep?: boolean }[]) {
  await using store = await openFileStore(readConfig(archiverSettings, stack.env))
  const project = (await stack.ask('POST', '/api/projects', { body: { title: 'p' } })).body
  const projectId = project['id'] as string
  const { scriptId, sceneIds, userId } = stack.demo
  const ids: string[] = []
  for (const { age, keep = false } of files) {
    const id = v7()
    const key = `${id}-1-1`
    await store.put(key, Readable.from([Buffer.alloc(100)]), { type: 'video/mp4' })
    const place = { projectId, scriptId, sceneId: sceneIds[0]!, userId }
    const words = { status: 'completed', phase: 'stored', provider: 'p', model: 'm', prompt: 'p' }
    await stack.db.sceneVideo.create({ data: { id, ...place, ...(words as object) } as never })
    const storedAt = new Date(Date.now() - age * day)
    await stack.db.file.create({
      data: { videoId: id, userId, state: 'stored', url: '', key, bytes: 100n, keep, storedAt },
    })
    ids.push(id)
  }
  const patch = (body: object, key?: string) =>
    stack.ask('PATCH', `/api/projects/${projectId}`, { body, ...(key ? { key } : {}) })
  const states = async () =>
    Promise.all(
      ids.map(async (videoId) => (await stack.db.file.findUnique({ where: { videoId } }))!.state),
    )
  return { projectId, ids, patch, states }
}
const dryRun = () =>
  spawnSync(process.execPath, ['cli/main.ts', 'files', 'retention', '--dry-run'], {
    env: { ...process.env, ...stack.env },
    encoding: 'utf8',
  })

it('is told by a dry run, and then done', async () => {
  const byDays = await projectOf([{ age: 5 }, { age: 40 }, { age: 41, keep: true }])
  const byBytes = await projectOf([{ age: 1 }, { age: 2 }, { age: 3 }, { age: 9, keep: true }])
  const without = await projectOf([{ age: 1_000 }])
  expect((await byDays.patch({ fileDays: 30 }, await stack.stranger())).status).toBe(404)
  const patched = await byDays.patch({ fileDays: 30 })
  expect(patched.body).toMatchObject({ fileDays: 30, fileBytes: null, title: 'p' })
  await byBytes.patch({ fileBytes: 250 })
  await without.patch({ fileDays: 1, fileBytes: 0 })
  expect((await without.patch({ fileDays: null, fileBytes: null })).body).toMatchObject({
    fileDays: null,
    fileBytes: null,
  })
  expect((await stack.ask('GET', `/api/projects/${byBytes.projectId}`)).body).toMatchObject({
    fileBytes: 250,
  })
  const told = dryRun()
  expect(told.stderr).toContain('FILE_DAYS is not set here')
  expect(told.stdout.trim().split('\n').toSorted()).toEqual(
    [
      `1 files, 100 bytes: beyond the limits of project ${byDays.projectId}, p`,
      `2 files, 200 bytes: beyond the limits of project ${byBytes.projectId}, p`,
    ].toSorted(),
  )
  expect(await byDays.states()).toEqual(['stored', 'stored', 'stored'])
  await stack.reconciler()
  await until('what is too much to go', async () => {
    const states = [...(await byDays.states()), ...(await byBytes.states())]
    return states.filter((state) => state === 'removed').length === 3 || undefined
  })
  // what is to be kept counts first: of 250 bytes one more file has room
  expect([await byDays.states(), await byBytes.states(), await without.states()]).toEqual([
    ['stored', 'removed', 'stored'],
    ['stored', 'removed', 'removed', 'stored'],
    ['stored'],
  ])
  const gone = await stack.ask('GET', `/api/scene-videos/${byDays.ids[1]}/file`)
  expect([gone.status, gone.body['detail']]).toEqual([410, 'Its project keeps files for 30 days.'])
  expect(dryRun().stdout).toBe('no project has files beyond its limits\n')
})
