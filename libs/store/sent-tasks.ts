/** Whose task is whose: no video takes one that another video has. */
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'

/** A task, and the send of a video that it is said to come from. */
export interface SentTask {
  id: string
  attempt: number
  send: number
  taskId: string
}

/** Whether the send `o` has this task: by the index of its hash. */
export const hasTask = (taskId: Prisma.Sql) =>
  Prisma.sql`hashtextextended(o."taskId", 0) = hashtextextended(${taskId}, 0) AND o."taskId" = ${taskId}`

/**
 * Sends of other videos, to the same place as this one, that have this task. Only of a day: a
 * provider that counts its tasks may begin anew.
 */
export const ofAnother = ({ id, attempt, send, taskId }: SentTask) => Prisma.sql`
  SELECT 1 FROM "Submission" s, "Submission" o
  WHERE s."videoId" = ${id}::uuid AND s.attempt = ${attempt}::int AND s.send = ${send}::int AND ${hasTask(Prisma.sql`${taskId}::text`)}
    AND o."videoId" <> s."videoId" AND o.provider = s.provider AND o."baseUrl" = s."baseUrl" AND o."intentAt" > now() - interval '1 day'`

export async function isOfAnother(
  db: Database,
  { id, attempt, send, taskId }: SentTask,
): Promise<boolean> {
  const [row] = await db.$queryRaw<{ isOfAnother: boolean }[]>`
    SELECT EXISTS (${ofAnother({ id, attempt, send, taskId })}) AS "isOfAnother"`
  return row!.isOfAnother
}
