import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDirectoryStore } from '#libs/files/directory-store.ts'
import { StoreFull } from '#libs/files/file-store.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { NotAVideo } from '#libs/files/media.ts'
import { DownloadFailed } from './download.ts'
import { afterFailure, keepFile, keyOf } from './keep-file.ts'
import { noPreviews } from './previews.ts'
import { recordStored } from './record-stored.ts'

const file = {
  id: 'v',
  userId: 'u',
  attempt: 1,
  claim: 1,
  url: 'https://a.example/1',
  untilExpiryMs: 3_600_000,
  tries: 1,
  provider: 'p',
  taskId: null,
  wasAbandoned: false,
  account: null,
}

/** There once it was put. */
function onceThere() {
  let bytes: number | null = null
  return { put: async () => (bytes = 1_000_000), size: async () => bytes }
}

it('is called off also while the store does not answer what it keeps', async () => {
  const stop = new AbortController()
  const removed: string[] = []
  const { put, size } = onceThere()
  const files = {
    put,
    size,
    read: () => new Promise<never>(() => {}),
    remove: async (key: string) => void removed.push(key),
  }
  const keeping = keepFile(file, {
    files: files as never,
    fetch: async function* () {},
    previews: async () => noPreviews,
    random: () => 0.5,
    signal: stop.signal,
  })
  setTimeout(() => stop.abort(new Error('stopping')), 20)
  await expect(keeping).rejects.toThrow('stopping')
  expect(removed).toEqual(['v-1-1'])
})

it('leaves nothing where the store has kept it after it was called off', async () => {
  const stop = new AbortController()
  const inStore = new Set<string>()
  const { promise, resolve } = Promise.withResolvers<number>()
  const files = {
    put: async (key: string) => {
      const bytes = await promise
      inStore.add(key)
      return bytes
    },
    size: async () => null,
    remove: async (key: string) => void inStore.delete(key),
  }
  const keeping = keepFile(file, {
    files: files as never,
    fetch: async function* () {},
    previews: async () => noPreviews,
    random: () => 0.5,
    signal: stop.signal,
  })
  stop.abort(new Error('the claim is lost'))
  await expect(keeping).rejects.toThrow('the claim is lost')
  resolve(1_000)
  await new Promise((settled) => setImmediate(settled))
  expect([...inStore]).toEqual([])
})

it(
  'is called off also while the store does not answer what it is given',
  { timeout: 20_000 },
  async () => {
    const stop = new AbortController()
    const hangs = () => new Promise<never>(() => {})
    const files = { put: hangs, size: hangs, read: hangs, remove: hangs }
    const keeping = keepFile(file, {
      files: files as never,
      fetch: async function* () {},
      previews: async () => noPreviews,
      random: () => 0.5,
      signal: stop.signal,
    })
    setTimeout(() => stop.abort(new Error('stopping')), 20)
    await expect(keeping).rejects.toThrow('stopping')
  },
)

it('takes a store that fails while a file is looked at for no file that is not a video', async () => {
  const { put, size } = onceThere()
  const files = {
    put,
    size,
    // under no other claim is anything
    read: async (key: string) => {
      if (key === keyOf(file)) throw new Error('the store is away')
      return null
    },
    remove: async () => {},
  }
  const kept = await keepFile(
    { ...file, tries: 99, untilExpiryMs: -1 },
    {
      files: files as never,
      fetch: async function* () {},
      previews: async () => noPreviews,
      random: () => 0.5,
      signal: new AbortController().signal,
    },
  )
  expect(kept).toMatchObject({ kind: 'again', reason: 'the store is away' })
})

const hour = 3_600_000
const refused = new DownloadFailed('gone', 'answered 403')
const broken = new DownloadFailed('later', 'broke off')
const text = new NotAVideo('not a video')

it.each([
  ['refused by a link that lives', refused, { tries: 99, untilExpiryMs: hour }, 'again'],
  ['refused by a dead link', refused, { untilExpiryMs: -1 }, 'lost'],
  [
    'refused, and a fresh link may come',
    refused,
    { untilExpiryMs: -1, linkMayCome: true },
    'again',
  ],
  ['no video under a link that lives', text, { tries: 99, untilExpiryMs: hour }, 'again'],
  ['no video past a link’s expiry', text, { tries: 4, untilExpiryMs: -1 }, 'lost'],
  ['half a video at first', text, { tries: 3, untilExpiryMs: -1 }, 'again'],
  ['broken off long past its expiry', broken, { untilExpiryMs: -25 * hour }, 'lost'],
  ['no room, long past its expiry', new StoreFull('full'), { untilExpiryMs: -25 * hour }, 'again'],
  ['a store that is away', new Error('away'), { untilExpiryMs: -25 * hour }, 'again'],
])('of a file that is %s', (_what, err, more, kind) => {
  expect(afterFailure({ ...file, ...more }, err, 0.5).kind).toBe(kind)
})

it('tries again before a link dies, whatever its server asks for', () => {
  const dying = { ...file, tries: 10, untilExpiryMs: 20_000 }
  const busy = new DownloadFailed('later', 'answered 429', 3_600_000)
  for (const err of [broken, busy, new Error('away')])
    expect(afterFailure(dying, err, 0.5)).toMatchObject({ kind: 'again', delayMs: 5_000 })
})

it('records a stored file as often as it takes', async () => {
  let tries = 0
  const stored = async () => {
    if (++tries === 1) throw new Error('Postgres does not answer')
    return null
  }
  const clock = {
    ...systemClock,
    after: (_ms: number, act: () => void) => systemClock.after(1, act),
  }
  const parts = { records: { stored } as never, clock, log: createLogger('test', 'silent') }
  const kept = { kind: 'kept' as const, key: 'v-1-1', facts: {} as never }
  const { signal } = new AbortController()
  // its first try may have been carried out
  expect(await recordStored(parts, file, kept, signal)).toBe('unsure')
  expect(await recordStored(parts, file, kept, signal)).toBe('late')
})

describe('claims that Postgres gives out a second time', () => {
  const clip = readFileSync(new URL('../../services/provider-simulator/clip.mp4', import.meta.url))
  const key = keyOf(file)

  /** A store that has a file of a claim, and what becomes of the video, whose link is dead. */
  async function keepBeside(claim: number) {
    await using disposal = new AsyncDisposableStack()
    const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-keep-'))
    disposal.defer(() => rm(dir, { recursive: true }))
    const files = disposal.use(await openDirectoryStore(dir))
    const there = keyOf({ ...file, claim })
    await files.put(there, [clip] as never, { type: 'video/mp4' })
    const kept = await keepFile(
      { ...file, untilExpiryMs: -1 },
      {
        files,
        // oxlint-disable-next-line require-yield
        fetch: async function* () {
          throw refused
        },
        previews: async () => noPreviews,
        random: () => 0.5,
        signal: new AbortController().signal,
      },
    )
    return { kept, bytes: await files.size(there) }
  }

  it('does not touch what is in the store under its own', async () => {
    const { kept, bytes } = await keepBeside(file.claim)
    expect([kept.kind, bytes]).toEqual(['again', clip.length])
  })

  it('takes what a later one left', async () => {
    const { kept } = await keepBeside(file.claim + 40)
    expect(kept).toMatchObject({ kind: 'kept', key, facts: { bytes: clip.length } })
  })
})
