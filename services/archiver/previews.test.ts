/** With a program in the place of ffmpeg; the real one is in test/system/gateway-files.test.ts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openDirectoryStore } from '#libs/files/directory-store.ts'
import type { FileStore } from '#libs/files/file-store.ts'
import type { MediaFacts } from '#libs/files/media.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { noPreviews, PreviewMaker } from './previews.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-previews-'))
const runs = join(dir, 'runs')
let files: FileStore
const jpeg = String.raw`printf '\377\330jpeg'`

beforeAll(async () => {
  files = await openDirectoryStore(join(dir, 'files'))
  await files.put('v-1-1', one(Buffer.from('film')), { type: 'video/mp4' })
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function* one(data: Buffer) {
  yield data
}
const media: MediaFacts = {
  type: 'video/mp4',
  container: 'mp4',
  codec: 'avc',
  width: 1_080,
  height: 1_920,
  durationSeconds: 5,
  framesPerSecond: 24,
  hasAudio: false,
}
type Asked = Parameters<PreviewMaker['of']>[0]
const file: Asked = { id: 'v', userId: 'u', untilExpiryMs: 3_600_000, wasAbandoned: false }

/** What is made of a file by a program that does this, and what was told to that. */
async function made(script: string, of: Partial<Asked> = {}) {
  const ffmpeg = join(dir, `ffmpeg-${crypto.randomUUID()}`)
  writeFileSync(runs, '')
  writeFileSync(
    ffmpeg,
    `#!/bin/sh\n[ "$1" = -version ] && echo 8 && exit\n{ echo "$@"; env; } >> ${runs}\n${script}\n`,
    { mode: 0o755 },
  )
  const log = createLogger('test', 'silent')
  await using maker = (await PreviewMaker.open({ ffmpeg, files, clock: systemClock, log }))!
  const previews = await maker.of({ ...file, ...of }, 'v-1-1', media, AbortSignal.timeout(10_000))
  return { previews, ran: readFileSync(runs, 'utf8') }
}

it('keeps what ffmpeg makes, and tells it none of our settings', async () => {
  process.env['DATABASE_URL'] = 'postgresql://secret'
  const { previews, ran } = await made(jpeg)
  expect(previews).toEqual({
    poster: { bytes: 6, type: 'image/jpeg', width: 720, height: 1_280 },
    strip: { bytes: 6, type: 'image/jpeg', width: 900, height: 160, frames: 10 },
  })
  expect([await files.size('v-1-1.poster'), await files.size('v-1-1.strip')]).toEqual([6, 6])
  expect(ran).toContain('-protocol_whitelist http,tcp -f mov -i http://127.0.0.1:')
  expect(ran).not.toContain('secret')
})

it.each([
  ['fails', 'exit 1'],
  ['prints what is no picture', 'echo no'],
  ['makes only the first', `case "$*" in *tile*) exit 1;; esac; ${jpeg}`],
])('keeps nothing where ffmpeg %s', async (_how, script) => {
  expect((await made(script)).previews).toEqual(noPreviews)
  expect([await files.size('v-1-1.poster'), await files.size('v-1-1.strip')]).toEqual([null, null])
})

it.each([
  ['the last archiver that had it died', { wasAbandoned: true }],
  ['the link is about to die', { untilExpiryMs: 60_000 }],
])('is not begun where %s', async (_what, of) => {
  expect(await made(jpeg, of)).toEqual({ previews: noPreviews, ran: '' })
})

it('is none where there is no such program', async () => {
  const log = createLogger('test', 'silent')
  const parts = { ffmpeg: join(dir, 'none'), files, clock: systemClock, log }
  expect(await PreviewMaker.open(parts)).toBeNull()
})
