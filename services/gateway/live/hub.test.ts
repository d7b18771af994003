import { expect, it } from 'vitest'
import type { EventFeed } from '#libs/bus/event-feed.ts'
import type { FeedEvent } from '#libs/bus/replay.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Reader } from '#libs/store/reader.ts'
import type { Frame } from './frame.ts'
import { history, Hub, type LiveEvent } from './hub.ts'
import { stream } from './stream.ts'

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))
const never = new Promise<never>(() => {})

function feeding() {
  let sequence = 0
  let listener: (event: FeedEvent) => void = () => {}
  let reset: (deafMs: number) => void = () => {}
  const feed: EventFeed = {
    generation: 1,
    lastSequence: () => sequence,
    subscribe: (given) => {
      listener = given
      return () => {}
    },
    replay: async () => null,
    onReset: (given) => void (reset = given),
    isHealthy: () => true,
    [Symbol.asyncDispose]: async () => {},
  }
  const happens = (userId: string) => {
    const video = { userId, id: `video of ${userId}`, projectId: `project of ${userId}` }
    const id = `1-${++sequence}`
    listener({ id, sequence, event: 'progress', video: video as FeedEvent['video'] })
  }
  return { hub: new Hub(feed), happens, reset: () => reset(0) }
}

/** Subscribes, and keeps the sequences it is told. */
function reader(hub: Hub, userId: string | null) {
  const heard: number[] = []
  let behind = 0
  const unsubscribe = hub.subscribe(
    { userId },
    {
      take: ({ sequence }: LiveEvent) => void heard.push(sequence),
      reset: () => {},
      fallBehind: () => void behind++,
    },
  )
  return { heard, unsubscribe, behind: () => behind }
}

/** What a stream of `a` shows until that many, and the turns that others had meanwhile. */
async function streamed(hub: Hub, reader: Reader, lastEventId: string | undefined, many: number) {
  const ended = new AbortController()
  const shown: Frame[] = []
  const sink = {
    write: (frame: Frame) => shown.push(frame) > 0,
    onDrain: () => {},
    mark: () => {},
    cut: () => {},
  }
  const parts = { hub, reader, clock: systemClock }
  void stream(parts, { userId: 'a' }, lastEventId, sink, ended.signal)
  let turns = 0
  for (; shown.length < many; turns++) await nextTurn()
  ended.abort()
  return { shown, turns }
}

it('begins a user’s stream at once while another one begins however many', async () => {
  const { hub } = feeding()
  for (let i = 0; i < 100; i++) void hub.withStartSlot({ userId: 'a' }, () => never)
  const begins = hub.withStartSlot({ userId: 'b' }, async () => 'begun')
  expect(await Promise.race([begins, nextTurn()])).toBe('begun')
})

it('lets others have their turn within a snapshot of many videos', async () => {
  const { hub } = feeding()
  const videos = Array.from({ length: 1_000 }, (_, i) => ({ id: String(i).padStart(4, '0') }))
  const kept = {
    liveVideos: async (_user: string, _project: string, after: string, limit: number) => {
      const from = videos.findIndex(({ id }) => id === after) + 1
      return videos.slice(from, from + limit) as SceneVideo[]
    },
  } as unknown as Reader
  const { shown, turns } = await streamed(hub, kept, undefined, videos.length)
  expect(new Set(shown.map(({ data }) => data.id)).size).toBe(videos.length)
  expect(shown.at(-1)).toMatchObject({ id: '1-0', data: { id: '0999' } })
  expect(turns).toBeGreaterThanOrEqual(5)
})

it('lets others have their turn while it tells what was missed', async () => {
  const { hub, happens } = feeding()
  for (let i = 0; i < 1_000; i++) happens(i % 2 ? 'a' : 'b')
  const { shown, turns } = await streamed(hub, {} as Reader, '1-1', 500)
  expect(shown.map(({ id }) => id)).toEqual(shown.map((_, i) => `1-${2 * i + 2}`))
  expect(turns).toBeGreaterThanOrEqual(5)
})

it('tells one user’s readers while another one has thousands, all in order and once', async () => {
  const { hub, happens } = feeding()
  const many = Array.from({ length: 1_000 }, () => reader(hub, 'a'))
  const own = reader(hub, 'b')
  const operator = reader(hub, null)
  happens('a')
  happens('a')
  happens('b')
  expect([own.heard, operator.heard]).toEqual([[3], [1, 2, 3]])
  expect(many.filter(({ heard }) => heard.length > 0).length).toBeLessThan(many.length)
  many[0]!.unsubscribe()
  for (let i = 0; i < 30; i++) await nextTurn()
  for (const { heard } of many.slice(1)) expect(heard).toEqual([1, 2])
  happens('a')
  happens('b')
  expect(own.heard).toEqual([3, 5])
})

it('tells nothing of before, once everybody has begun anew', async () => {
  const { hub, happens, reset } = feeding()
  const many = Array.from({ length: 1_000 }, () => reader(hub, 'a'))
  happens('a')
  reset()
  const told = many.filter(({ heard }) => heard.length > 0).length
  for (let i = 0; i < 30; i++) await nextTurn()
  expect(many.filter(({ heard }) => heard.length > 0).length).toBe(told)
  happens('a')
  for (let i = 0; i < 30; i++) await nextTurn()
  expect(many.every(({ heard }) => heard.at(-1) === 2)).toBe(true)
})

it('gives up readers for whom there is more than can be told', async () => {
  const { hub, happens } = feeding()
  const many = Array.from({ length: 200 }, () => reader(hub, 'a'))
  const own = reader(hub, 'b')
  for (let i = 0; i < history + 3; i++) happens('a')
  expect(many.every(({ behind }) => behind() > 0)).toBe(true)
  expect(own.behind()).toBe(0)
  happens('a')
  for (let i = 0; i < 10; i++) await nextTurn()
  expect(many.at(-1)!.heard.at(-1)).toBe(history + 4)
})
