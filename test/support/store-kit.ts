/** A Postgres of its own for a test: the tables, a demo user, the writers of submit and status. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import { SubmissionWriter } from '#libs/store/submissions.ts'
import { seedDemo, type Demo } from '#services/dev/seed.ts'
import { startDatabase } from './postgres.ts'

export const pins = {
  provider: 'toapis',
  baseUrl: 'http://127.0.0.1:1/v1',
  keyCipher: 'v1.a.b.c',
}

export async function startStore() {
  const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-store-'))
  chmodSync(dir, 0o755)
  const server = await startDatabase(join(dir, 'postgres'))
  const demo = await seedDemo(server.url, `rk_test_${'x'.repeat(43)}`)
  const db = openDatabase(server.url, 8)
  const submissions = new SubmissionWriter(db)
  return {
    url: server.url,
    demo: demo satisfies Demo,
    db: db satisfies Database,
    submissions,
    writer: new ReportWriter(db),
    async pendingVideo(): Promise<string> {
      const { video } = await submissions.acceptRequest({
        id: crypto.randomUUID(),
        userId: demo.userId,
        projectId: demo.projectId,
        scriptId: demo.scriptId,
        sceneId: demo.sceneIds[0]!,
        body: {},
        idempotencyKey: null,
        system: { provider: 'toapis', providers: {} },
      })
      return video.id
    },
    async submittedVideo(): Promise<string> {
      const id = await this.pendingVideo()
      await submissions.intend(id, 1, 1, pins)
      await submissions.recordAcceptance(id, {
        attempt: 1,
        send: 1,
        taskId: `task-${id}`,
        how: 'answer',
      })
      return id
    },
    async [Symbol.asyncDispose]() {
      await db.$disconnect()
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
export type StoreKit = Awaited<ReturnType<typeof startStore>>
