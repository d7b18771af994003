import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { NotAVideo, readMediaFacts } from './media.ts'

const clip = readFileSync(new URL('../../services/provider-simulator/clip.mp4', import.meta.url))
const holding = (data: Buffer) => ({
  size: async () => data.length,
  read: async (_key: string, range?: { start: number; end: number }) =>
    (async function* () {
      yield range ? data.subarray(range.start, range.end + 1) : data
    })(),
})

it('tells container, codec, size, duration and rate by the bytes', async () => {
  expect(await readMediaFacts(holding(clip), 'x.mp4')).toEqual({
    type: 'video/mp4',
    container: 'mp4',
    codec: 'avc',
    width: 160,
    height: 90,
    durationSeconds: 2,
    framesPerSecond: expect.any(Number) as number,
    hasAudio: false,
  })
})

it.each([
  ['an error page', Buffer.from('<!doctype html><html><body>Link expired</body></html>')],
  ['JSON', Buffer.from('{"error":{"code":"AccessDenied"}}')],
  ['nothing', Buffer.alloc(0)],
  ['a video broken off in its header', clip.subarray(0, 300)],
  ['a video broken off in its frames', clip.subarray(0, 2_000)],
  ['a video whose last byte is missing', clip.subarray(0, -1)],
  ['noise', Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 7_919) % 256))],
])('refuses %s', async (_what, data) => {
  await expect(readMediaFacts(holding(data), 'x')).rejects.toThrow(NotAVideo)
})

it.each([0, 1, 2, 3, 4, 5])(
  'takes no store that is away for a bad file, after %i reads',
  async (n) => {
    const store = holding(clip)
    let reads = 0
    const read: typeof store.read = (...asked) =>
      reads++ < n ? store.read(...asked) : Promise.reject(new Error('away'))
    await readMediaFacts({ ...store, read }, 'x').then(
      () => expect(reads).toBeLessThanOrEqual(n),
      (err: unknown) => expect((err as Error).message).toBe('away'),
    )
  },
)
