/** What is promised of a lost create is what the account allows that the video is made with. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { SubmissionWriter } from '#libs/store/submissions.ts'
import { seedDemo, type Demo } from '#services/dev/seed.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { startDatabase } from '../support/postgres.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-guarantee-'))
chmodSync(dir, 0o755)
let server: LocalServer
let db: Database
let demo: Demo
let store: SubmissionWriter
beforeAll(async () => {
  server = await startDatabase(join(dir, 'postgres'))
  demo = await seedDemo(server.url, `rk_test_${'x'.repeat(43)}`)
  db = openDatabase(server.url, 2)
  store = new SubmissionWriter(db)
})
afterAll(async () => {
  await db?.$disconnect()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

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
