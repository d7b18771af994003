/**
 * From `completed, done` to `stored`, on a real Postgres, a real nats-server and a provider's file
 * server that misbehaves.
 */
import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { openFileStore } from '#libs/files/settings.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import {
  archiver,
  bus,
  clip,
  completed,
  db,
  env,
  provider,
  startKit,
  until,
  untilFailedOnce,
  untilStored,
  video,
} from '../support/archiver-kit.ts'

startKit()

it('keeps a finished video: file, facts, phase, one event', async () => {
  const id = await completed(`/ok/${crypto.randomUUID()}`)
  await archiver()
  const found = await untilStored(id)
  expect(found).toMatchObject({
    status: 'completed',
    version: 6,
    file: {
      state: 'stored',
      bytes: clip.length,
      type: 'video/mp4',
      container: 'mp4',
      codec: 'avc',
      width: 160,
      height: 90,
      durationSeconds: 2,
      hasAudio: false,
      sha256: createHash('sha256').update(clip).digest('hex'),
      storedAt: expect.any(String) as string,
    },
  })
  expect(found.timeline.map(({ version, event }) => [version, event])).toEqual([[6, 'stored']])
  await until(
    'the event',
    async () => (await bus.newest('VIDEO', 'video.stored'))?.header('ce-id') === `${id}:6`,
  )
  const files = await openFileStore(readConfig(archiverSettings, env))
  expect(await files.size(found.kept!.key!)).toBe(clip.length)
})

it('goes on where a connection broke, follows redirects, waits out a busy server', async () => {
  const cut = await completed(`/cut/${crypto.randomUUID()}`)
  const redirected = await completed(`/redirect/${crypto.randomUUID()}`)
  await archiver()
  for (const id of [cut, redirected])
    expect((await untilStored(id)).file).toMatchObject({
      sha256: createHash('sha256').update(clip).digest('hex'),
    })
  const { videoUrl } = await video(cut)
  const asked = provider.asked.filter(({ path }) => videoUrl!.endsWith(path))
  expect(asked.map(({ range }) => range)).toEqual([undefined, `bytes=${clip.length >> 1}-`])
})

it.each([
  ['/html/x', /not a video/],
  ['/short/x', /breaks off/],
  ['/cut-for-good/x', /broke off after \d+ bytes/],
  ['/silent/x', /no answer/],
  ['/circle/x', /redirected more than/],
  ['/busy/x', /answered 503/],
  ['/nowhere', /answered 404/],
  ['/inward/x', /private network/],
  ['/to-file/x', /not to http/],
  ['http://169.254.169.254/x', /private network/],
])('tries %s again, and says why', async (path, reason) => {
  const id = await completed(path, { expiresInMs: 3_600_000 })
  await archiver()
  const kept = await untilFailedOnce(id)
  expect(kept.lastError).toMatch(reason)
  expect(kept.state).toBe('waiting')
  expect(await video(id)).toMatchObject({ status: 'completed', phase: 'done', file: null })
  await db.file.update({ where: { videoId: id }, data: { state: 'deleted' } })
})

it.each([
  ['/inward/x', /private network/],
  ['/to-file/x', /not to http/],
  ['http://169.254.169.254/x', /private network/],
  ['/nowhere', /answered 404/],
])('never fetches %s by a link that has died, and says that it is lost', async (path, reason) => {
  const id = await completed(path, { expiresInMs: -1_000 })
  await archiver()
  const found = await until('lost', async () => {
    const row = await video(id)
    // the two are read one after the other
    return row.kept?.state === 'lost' && row.file !== null && row
  })
  expect(found.file).toMatchObject({
    state: 'lost',
    reason: expect.stringMatching(reason) as string,
  })
  expect(found.timeline.map(({ kind }) => kind)).toEqual(['file_lost'])
  expect(found).toMatchObject({ status: 'completed', phase: 'done', version: 5 })
})
