/** Which bids for ownership are granted, on Postgres. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '#libs/store/connect.ts'
import type { ReportWriter } from '#libs/store/reports.ts'
import { pins, startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
let db: Database
let writer: ReportWriter
const submittedVideo = () => kit.submittedVideo()

beforeAll(async () => {
  kit = await startStore()
  ;({ db, writer } = kit)
})
afterAll(() => kit[Symbol.asyncDispose]())

it('raises no epoch for a bid that it cannot grant', async () => {
  const id = await submittedVideo()
  await db.submission.deleteMany({ where: { videoId: id } })
  expect(await writer.commitClaims('a', [{ id, epoch: '60' }])).toEqual({
    grants: [],
    undecided: [],
  })
  expect((await db.sceneVideo.findUniqueOrThrow({ where: { id } })).epoch).toBe(0n)
})

it('refuses a bid below the row’s epoch, and another session’s at it, and grants its own again', async () => {
  const id = await submittedVideo()
  const granted = async (session: string, epoch: string) =>
    (await writer.commitClaims(session, [{ id, epoch }])).grants.length === 1
  expect(await granted('a', '70')).toBe(true)
  expect(await granted('b', '69')).toBe(false)
  expect(await granted('b', '70')).toBe(false)
  expect(await granted('a', '70')).toBe(true)
  expect(await granted('b', '71')).toBe(true)
  expect(await granted('a', '70')).toBe(false)
})

it('grants a video whose task is another one than its send names', async () => {
  const id = await submittedVideo()
  await db.submission.updateMany({ where: { videoId: id }, data: { taskId: 'another' } })
  const { grants } = await writer.commitClaims('a', [{ id, epoch: '61' }])
  const { userId } = await db.sceneVideo.findUniqueOrThrow({ where: { id } })
  expect(grants.map((grant) => [grant.taskId, grant.baseUrl, grant.userId])).toEqual([
    [`task-${id}`, pins.baseUrl, userId],
  ])
})
