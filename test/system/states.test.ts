/**
 * For every state of a row that docs/operating/recovery.md names, the look that it names finds it.
 * The document's table and the states here are the same.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { phases, statuses } from '#libs/scene-video/scene-video.ts'
import { takeDueVideos } from '#libs/store/due-videos.ts'
import type { Database } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import type { Demo } from '#services/dev/seed.ts'
import { startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
let db: Database
let demo: Demo
beforeAll(async () => {
  kit = await startStore()
  ;({ db, demo } = kit)
})
afterAll(() => kit?.[Symbol.asyncDispose]())

const longAgo = new Date(Date.now() - 3_600_000)
type Row = Parameters<Database['sceneVideo']['create']>[0]['data']

async function video(status: (typeof statuses)[number], fields: Partial<Row> = {}) {
  const { userId, projectId, scriptId, sceneIds } = demo
  const id = crypto.randomUUID()
  await db.sceneVideo.create({
    data: {
      id,
      userId,
      projectId,
      scriptId,
      sceneId: sceneIds[0]!,
      status,
      provider: 'p',
      model: 'm',
      prompt: 'x',
      updatedAt: longAgo,
      ...(fields as object),
    },
  })
  return id
}
const withTask = { taskId: 't' }

const looks: Record<string, (id: string) => Promise<string[]>> = {
  pendingVideos: () => new Recovery(db).pendingVideos(30_000),
  videosWithOpenTask: () => new Recovery(db).videosWithOpenTask(),
  staleVideos: async () => (await new Recovery(db).staleVideos(180_000)).map((one) => one.id),
  unkeptPromises: async () => (await new Recovery(db).unkeptPromises()).unkept.map((one) => one.id),
  overdue: () => new Outbox(db).overdue(5_000, 1_000),
  unsettledVideos: () => new Recovery(db).unsettledVideos(86_400_000),
  ended: (id) => new Recovery(db).ended([id]),
}

const states: Record<string, () => Promise<string>> = {
  'pending, no task': () => video('pending'),
  'pending, task, nobody owns it': () => video('pending', withTask),
  'generating, nobody owns it': () => video('generating', withTask),
  'pending, task, untouched': () => video('pending', withTask),
  'generating, untouched': () => video('generating', withTask),
  'pending, task, cancel asked for': () => video('pending', { ...withTask, cancelRequested: true }),
  'generating, cancel asked for': () =>
    video('generating', { ...withTask, cancelRequested: true, updatedAt: new Date() }),
  'pending, task, deadline passed': () => video('pending', { ...withTask, deadlineAt: longAgo }),
  'generating, deadline passed': () => video('generating', { ...withTask, deadlineAt: longAgo }),
  'any, an event owed': async () => {
    const id = await video('completed', withTask)
    await db.timeline.create({
      data: {
        videoId: id,
        version: 1,
        attempt: 1,
        at: longAgo,
        kind: 'completed',
        event: 'completed',
        status: 'completed',
        phase: 'done',
        service: 'status',
        owed: true,
      },
    })
    return id
  },
  'failed, a send unsettled': async () => {
    const id = await video('failed', withTask)
    await db.submission.create({
      data: {
        videoId: id,
        attempt: 1,
        send: 1,
        provider: 'p',
        baseUrl: 'http://x',
        keyCipher: 'k',
        intentAt: longAgo,
      },
    })
    return id
  },
  'completed, an owner record left': () => video('completed', withTask),
  'failed, an owner record left': () => video('failed', withTask),
}

const documented = readFileSync(
  new URL('../../docs/operating/recovery.md', import.meta.url),
  'utf8',
)
  .split('\n')
  .flatMap((line) => {
    const [, state = '', look = ''] = /^\| ([^|]+?) \| `(\w+)` \|/.exec(line) ?? []
    return state ? [[state, look] as const] : []
  })

it('names every state, and every status among them', () => {
  expect(documented.map(([state]) => state)).toEqual(Object.keys(states))
  for (const status of statuses)
    expect(documented.some(([state]) => state.startsWith(status))).toBe(true)
})

it.each(documented)('%s: %s', async (state, look) => {
  const id = await states[state]!()
  expect(await looks[look]!(id)).toContain(id)
})

it('leaves alone what waits for its time, however long ago it was touched', async () => {
  const soon = new Date(Date.now() + 60_000)
  const waiting = await video('pending', { phase: 'throttled', dueAt: soon, waitUntil: soon })
  const forgotten = await video('pending', { dueAt: longAgo })
  const found = await looks['pendingVideos']!(waiting)
  expect([found.includes(waiting), found.includes(forgotten)]).toEqual([false, true])
})

it('hands out what is due: what waits, and what was accepted until somebody owns it', async () => {
  await db.sceneVideo.updateMany({ data: { dueAt: null } })
  const owned = { ...withTask, session: 's' }
  const rows = {
    waits: await video('pending', { dueAt: longAgo }),
    unowned: await video('pending', { ...withTask, dueAt: longAgo }),
    owned: await video('pending', { ...owned, dueAt: longAgo }),
    ownedBefore: await video('pending', { ...owned, attempt: 2, dueAt: longAgo }),
    goesOn: await video('generating', { ...owned, dueAt: longAgo }),
  }
  const { waits, unowned, ownedBefore } = rows
  const due = await takeDueVideos(db, 10)
  expect(due.map(({ id }) => id).toSorted()).toEqual([waits, unowned, ownedBefore].toSorted())
  const held = await db.sceneVideo.findMany({ where: { dueAt: { not: null } } })
  expect(held.map(({ id }) => id).toSorted()).toEqual([waits, unowned].toSorted())
  expect(await takeDueVideos(db, 10)).toEqual([])
})

it.each(phases)('an open video in phase %s', async (phase) => {
  const [waiting, polled] = [
    await video('pending', { phase }),
    await video('generating', { ...withTask, phase }),
  ]
  expect(await looks['pendingVideos']!(waiting)).toContain(waiting)
  expect(await looks['staleVideos']!(polled)).toContain(polled)
})
