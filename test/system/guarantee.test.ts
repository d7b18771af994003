/** What is promised of a lost create is what the account allows that the video is made with. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '#libs/store/connect.ts'
import type { SubmissionWriter } from '#libs/store/submissions.ts'
import type { Demo } from '#services/dev/seed.ts'
import { startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
let db: Database
let demo: Demo
let store: SubmissionWriter
beforeAll(async () => {
  kit = await startStore()
  ;({ db, demo, submissions: store } = kit)
})
afterAll(() => kit?.[Symbol.asyncDispose]())

it.each([
  ['https://api-beijing.klingai.com/v1', 'proven'],
  ['https://klingai.com', 'proven'],
  ['https://api.notklingai.com', 'none'],
  ['https://klingai.com.reseller.example/klingai.com', 'none'],
  [null, 'by_key'],
])('of a user’s own account at %s: %s', async (baseUrl, promised) => {
  const account = { provider: 'kling', baseUrl, keyCipher: 'v1.a.b.c', apiKeyLast4: 'cccc' }
  const { id } = await db.aiConfig.create({ data: { userId: demo.userId, ...account } })
  try {
    const anywhere = { hosts: ['klingai.com'], guarantee: 'proven' } as const
    const kling = { model: 'm', guarantee: 'by_key', anywhere } as const
    const { video } = await store.acceptRequest({
      ...demo,
      sceneId: demo.sceneIds[0]!,
      body: {},
      idempotencyKey: null,
      id: crypto.randomUUID(),
      system: { provider: 'kling', providers: { kling } },
    })
    expect(video.guarantee).toBe(promised)
  } finally {
    await db.aiConfig.delete({ where: { id } })
  }
})
