/** A task that one video has is taken for no other one, however its id came. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pins, startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
beforeAll(async () => void (kit = await startStore()))
afterAll(() => kit?.[Symbol.asyncDispose]())

it('takes a task for no second video: not at the same moment, nor later, nor of a look-up', async () => {
  const { db, submissions } = kit
  const intended = async (baseUrl = pins.baseUrl) => {
    const id = await kit.pendingVideo()
    await submissions.intend(id, 1, 1, { ...pins, baseUrl })
    return id
  }
  const taskId = 'one'
  const record = (id: string, how: 'answer' | 'lookup' = 'answer') =>
    submissions.recordAcceptance(id, { attempt: 1, send: 1, taskId, how })
  const isOfAnother = (id: string) => submissions.isOfAnother({ id, attempt: 1, send: 1, taskId })

  const together = [await intended(), await intended(), await intended()]
  const answers = await Promise.all(together.map((id) => record(id)))
  expect(answers.map(({ fate }) => fate).toSorted()).toEqual(['of_another', 'of_another', 'taken'])
  const later = await intended()
  expect(await isOfAnother(later)).toBe(true)
  expect(await record(later, 'lookup')).toEqual({ fate: 'of_another', event: null })
  expect((await submissions.load(later))!.submissions).toMatchObject([
    { answer: null, taskId: null },
  ])

  const elsewhere = await intended('http://127.0.0.1:2/v1')
  const beside = await intended('http://127.0.0.1:3/v1')
  const apart = await Promise.all([record(elsewhere), record(beside)])
  expect(apart.map(({ fate }) => fate)).toEqual(['taken', 'taken'])

  // a provider that counts its tasks begins anew
  await db.$executeRaw`UPDATE "Submission" SET "intentAt" = now() - interval '25 hours' WHERE "taskId" = ${taskId}`
  expect(await isOfAnother(later)).toBe(false)
  expect(await record(later)).toMatchObject({ fate: 'taken' })
})
