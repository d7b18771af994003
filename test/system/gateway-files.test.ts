/** The kept file as the gateway serves it, from a real provider's link to a reader's bytes. */
import { spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFileStore } from '#libs/files/settings.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { FileRemoval } from '#libs/store/file-removal.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { Stack } from '../support/gateway-kit.ts'
import { SseReader } from '../support/live-reader.ts'
import { findFfmpeg } from '../support/ffmpeg.ts'
import { describesPictures } from '../support/pictures.ts'
import { until } from '../support/system.ts'

const clip = readFileSync(new URL('../../services/provider-simulator/clip.mp4', import.meta.url))
const sha256 = hash('sha256', clip)
const ffmpeg = await findFfmpeg()
const noFfmpeg = 'missing' in ffmpeg ? ffmpeg.missing : null
const stack = new Stack()
let id = ''
let path = ''
let told: Record<string, unknown>

beforeAll(async () => {
  await stack.start()
  await stack.poller()
  await stack.archiver('path' in ffmpeg ? { FFMPEG: ffmpeg.path } : {})
  const { projectId, scriptId, sceneIds } = stack.demo
  const scene = `/api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[0]}`
  await stack.db.scene.update({ where: { id: sceneIds[0]! }, data: { title: '片头 “1”/a' } })
  const events = await SseReader.open(stack, `/api/events?projectId=${projectId}`)
  await stack.simulate({ minSeconds: 1, maxSeconds: 1, tier: 'off' })
  const made = await stack.ask('POST', `${scene}/generate-video`, { body: { prompt: 'a' } })
  id = String(made.body['id'])
  path = `/api/scene-videos/${id}/file`
  told = await until('the file to be kept', async () => {
    const { body } = await stack.ask('GET', `/api/scene-videos/${id}`)
    return body['phase'] === 'stored' ? body : undefined
  })
  const { data } = await events.heard('stored', (one) => one.event === 'stored')
  expect(data).toMatchObject({ id, version: told['version'], file: { sha256 } })
  events.close()
})
afterAll(() => stack[Symbol.asyncDispose]())

const get = (headers: Record<string, string> = {}, method = 'GET') =>
  fetch(stack.gatewayUrl + path, {
    method,
    redirect: 'manual',
    headers: { authorization: `Bearer ${stack.apiKey}`, ...headers },
  })
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer())

it('tells the facts of the file, and keeps the provider’s link beside it', () => {
  expect(told).toMatchObject({
    status: 'completed',
    phase: 'stored',
    videoUrl: expect.stringContaining(stack.simulatorUrl) as string,
    file: {
      url: path,
      bytes: clip.length,
      sha256,
      type: 'video/mp4',
      container: 'mp4',
      codec: 'avc',
      width: 160,
      height: 90,
      durationSeconds: expect.closeTo(2, 1) as number,
      hasAudio: false,
      storedAt: expect.stringMatching(/Z$/) as string,
    },
    fileLoss: null,
  })
})

describe('serves it', () => {
  it('whole, under its scene’s title', async () => {
    const answer = await get()
    expect(answer.ok).toBe(true)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': String(clip.length),
      'accept-ranges': 'bytes',
      'cache-control': expect.stringContaining('private') as string,
      etag: `"${sha256}"`,
      'content-disposition': expect.stringMatching(
        /^inline; filename=".*"; filename\*=UTF-8''%E7%89%87%E5%A4%B4.*\.mp4$/,
      ) as string,
    })
    expect(await bytesOf(answer)).toEqual(clip)
  })

  it.each([
    ['bytes=0-9', 0, 9],
    ['bytes=100-', 100, clip.length - 1],
    ['bytes=-5', clip.length - 5, clip.length - 1],
    ['bytes=10-99999999', 10, clip.length - 1],
  ])('in part for %s', async (range, start, end) => {
    const answer = await get({ range })
    expect([answer.status, answer.headers.get('content-range')]).toEqual([
      206,
      `bytes ${start}-${end}/${clip.length}`,
    ])
    expect(answer.headers.get('content-length')).toBe(String(end - start + 1))
    expect(await bytesOf(answer)).toEqual(clip.subarray(start, end + 1))
  })

  it('whole where the range is none, is of several parts, or of another version', async () => {
    for (const headers of [
      { range: 'bytes=5-1' },
      { range: 'lines=1-2' },
      { range: 'bytes=0-1,5-6' },
      { range: 'bytes=0-1', 'if-range': '"other"' },
    ]) {
      const answer = await get(headers)
      expect([answer.status, (await bytesOf(answer)).length]).toEqual([200, clip.length])
    }
    const same = await get({ range: 'bytes=0-1', 'if-range': `"${sha256}"` })
    expect([same.status, (await bytesOf(same)).length]).toEqual([206, 2])
  })

  it('not at all beyond its end, or where the reader has it', async () => {
    const beyond = await get({ range: `bytes=${clip.length}-` })
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([
      416,
      `bytes */${clip.length}`,
    ])
    const first = await get({}, 'HEAD')
    for (const headers of [
      { 'if-none-match': first.headers.get('etag')! },
      { 'if-modified-since': first.headers.get('last-modified')! },
    ]) {
      const answer = await get(headers)
      expect([answer.status, await answer.text()]).toEqual([304, ''])
    }
  })
})

describe('serves it as well', () => {
  it('to HEAD as to GET, without its bytes', async () => {
    for (const headers of [{}, { range: 'bytes=0-9' }]) {
      // parts are of GET alone
      const [head, full] = [await get(headers, 'HEAD'), await get()]
      expect(head.status).toBe(full.status)
      for (const name of ['content-length', 'content-type', 'etag', 'content-range'])
        expect(head.headers.get(name), name).toBe(full.headers.get(name))
      expect((await bytesOf(head)).length).toBe(0)
      await full.body!.cancel()
    }
  })

  it('by a stream token, and not to a stranger', async () => {
    const token = String((await stack.ask('POST', '/api/stream-tokens')).body['token'])
    const withToken = await fetch(`${stack.gatewayUrl}${path}?token=${token}`)
    expect([withToken.status, (await bytesOf(withToken)).length]).toEqual([200, clip.length])
    const { status } = await stack.ask('GET', path, { key: await stack.stranger() })
    expect(status).toBe(404)
  })
})

describesPictures(stack, () => id, noFfmpeg)

it('says that a file is lost, and where it is gone from the store', async () => {
  const file = await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })
  await stack.db.file.update({ where: { videoId: id }, data: { state: 'lost' } })
  await stack.db.sceneVideo.update({
    where: { id },
    data: { file: { state: 'lost', reason: 'answered 404' } },
  })
  const lost = await stack.ask('GET', path)
  const detail = 'It could not be kept: answered 404'
  expect(lost.body).toMatchObject({ status: 410, code: 'file_lost', detail })
  const shown = (await stack.ask('GET', `/api/scene-videos/${id}`)).body
  expect(shown).toMatchObject({ file: null, fileLoss: { code: 'lost' } })
  await stack.db.sceneVideo.update({ where: { id }, data: { file: file.file! } })
  const { key } = await stack.db.file.findUniqueOrThrow({ where: { videoId: id } })
  await stack.db.file.update({ where: { videoId: id }, data: { state: 'stored', key: 'gone-1-1' } })
  const gone = await stack.ask('GET', path)
  const ofContent = ['cache-control', 'content-disposition', 'last-modified', 'etag']
  expect([gone.status, ofContent.filter((name) => gone.headers.has(name))]).toEqual([404, []])
  await stack.db.file.update({ where: { videoId: id }, data: { key } })
})

describe('ends', () => {
  const stored = () => stack.db.file.findUnique({ where: { videoId: id } })
  const untilState = (state: string) =>
    until(state, async () => (await stored())?.state === state || undefined)
  const keptIn = async () =>
    openFileStore(readConfig(archiverSettings, { ...stack.env, NATS_URL: 'nats://x' }))

  const verify = (...args: string[]) =>
    spawnSync(process.execPath, ['cli/main.ts', 'files', 'verify', ...args], {
      env: { ...process.env, ...stack.env },
      encoding: 'utf8',
    })

  it('after its days, but not what is to be kept', async () => {
    const [{ key }, files] = [(await stored())!, await keptIn()]
    expect(await files.size(key!)).toBe(clip.length)
    const old = new Date('2020-01-01')
    await stack.db.file.update({ where: { videoId: id }, data: { storedAt: old } })
    expect(
      (await stack.ask('PUT', `/api/scene-videos/${id}/keep`, { body: { keep: true } })).body,
    ).toEqual({ id, keep: true })
    const stranger = await stack.stranger()
    const theirs = { key: stranger, body: { keep: false } }
    expect((await stack.ask('PUT', `/api/scene-videos/${id}/keep`, theirs)).status).toBe(404)
    const removal = new FileRemoval(stack.db)
    expect([await removal.outdated(30), await removal.expire(30, 10)]).toEqual([
      { files: 0, bytes: 0 },
      0,
    ])
    await stack.ask('PUT', `/api/scene-videos/${id}/keep`, { body: { keep: false } })
    await stack.reconciler({ FILE_DAYS: '30' })
    await untilState('removed')
    for (const one of [key!, `${key}.poster`, `${key}.strip`])
      expect(await files.size(one), one).toBeNull()
    expect((await stack.ask('GET', `/api/scene-videos/${id}/poster`)).status).toBe(410)
    const answer = await stack.ask('GET', path)
    expect([answer.status, answer.body['code'], answer.body['detail']]).toEqual([
      410,
      'file_removed',
      'Kept for 30 days.',
    ])
  })

  it('with the video that is erased, and nothing is left that no row names', async () => {
    const { projectId, scriptId, sceneIds } = stack.demo
    const scene = `/api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[0]}`
    const made = await stack.ask('POST', `${scene}/generate-video`, {
      body: { prompt: 'b' },
    })
    id = String(made.body['id'])
    await untilState('stored')
    const whole = `1 files recorded, ${noFfmpeg ? 1 : 3} in`
    expect(verify()).toMatchObject({ status: 0, stdout: expect.stringContaining(whole) as string })
    expect((await stack.ask('DELETE', `/api/scene-videos/${id}`)).status).toBe(204)
    await untilState('removed')
    const files = await keptIn()
    await files.put('stray-1', Readable.from([Buffer.from('x')]), { type: 'video/mp4' })
    const found = verify()
    expect([found.status, found.stdout]).toEqual([1, expect.stringContaining('stray    stray-1')])
    const cleared = verify('--remove-strays')
    expect([cleared.status, cleared.stdout]).toEqual([0, expect.stringContaining('0 missing')])
    expect(await files.size('stray-1')).toBeNull()
  })
})
