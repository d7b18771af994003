/** Projects, scripts and scenes: what a user writes through the gateway. Never a video. */
import { v7 } from '#libs/runtime/uuid.ts'
import type { Database } from './connect.ts'
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import { claimIdempotencyKey } from './idempotency.ts'
import { Refused } from '#libs/scene-video/refusals.ts'

export class ProjectWriter {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  async createProject(userId: string, title: string, idempotencyKey: IdempotencyKey | null = null) {
    return this.#db.$transaction(async (tx) => {
      const id = v7()
      const earlier = await claimIdempotencyKey(tx, userId, idempotencyKey, id)
      return earlier
        ? tx.project.findUniqueOrThrow({ where: { id: earlier } })
        : tx.project.create({ data: { id, userId, title } })
    })
  }

  /** Null when the project is not this user's. */
  async createScript(
    userId: string,
    projectId: string,
    title: string,
    idempotencyKey: IdempotencyKey | null = null,
  ) {
    return this.#db.$transaction(async (tx) => {
      const project = await tx.project.findFirst({
        where: { id: projectId, userId, erasedAt: null },
      })
      if (!project) return null
      requireInUse(project)
      const id = v7()
      const earlier = await claimIdempotencyKey(tx, userId, idempotencyKey, id)
      return earlier
        ? tx.script.findUniqueOrThrow({ where: { id: earlier } })
        : tx.script.create({ data: { id, projectId, title } })
    })
  }

  /** Null when the script is not in that project of this user. */
  async createScene(
    userId: string,
    projectId: string,
    scriptId: string,
    scene: { title: string | null; prompt: string },
    idempotencyKey: IdempotencyKey | null = null,
  ) {
    return this.#db.$transaction(async (tx) => {
      const script = await tx.script.findFirst({
        where: { id: scriptId, projectId, erasedAt: null, project: { userId } },
        include: { project: true },
      })
      if (!script) return null
      requireInUse(script.project)
      requireInUse(script)
      const id = v7()
      const earlier = await claimIdempotencyKey(tx, userId, idempotencyKey, id)
      return earlier
        ? tx.scene.findUniqueOrThrow({ where: { id: earlier } })
        : tx.scene.create({ data: { id, scriptId, ...scene } })
    })
  }

  /**
   * The user's own project and script, for videos without a scene of theirs; made once, however
   * many ask at the same moment.
   */
  async ownPlace(userId: string): Promise<{ projectId: string; scriptId: string }> {
    const find = () =>
      this.#db.project.findUnique({
        where: { ownOf: userId },
        include: { scripts: { orderBy: { id: 'asc' }, take: 1, where: { archivedAt: null } } },
      })
    const found = await find()
    if (found?.scripts[0]) return { projectId: found.id, scriptId: found.scripts[0].id }
    await this.#db.$transaction(async (tx) => {
      const id = found?.id ?? v7()
      await tx.$executeRaw`
        INSERT INTO "Project" (id, "userId", title, "ownOf") VALUES (${id}::uuid, ${userId}::uuid, 'My videos', ${userId}::uuid)
        ON CONFLICT ("ownOf") DO NOTHING`
      // whoever made it holds the row; one of all that ask makes the script
      const [own] = await tx.$queryRaw<
        { id: string }[]
      >`SELECT id FROM "Project" WHERE "ownOf" = ${userId}::uuid FOR UPDATE`
      const script = { projectId: own!.id, archivedAt: null }
      if (!(await tx.script.count({ where: script })))
        await tx.script.create({ data: { id: v7(), projectId: own!.id, title: 'My videos' } })
    })
    const made = await find()
    return { projectId: made!.id, scriptId: made!.scripts[0]!.id }
  }
}

function requireInUse({ archivedAt }: { archivedAt: Date | null }): void {
  if (archivedAt)
    throw new Refused('archived', 'It is archived, and takes nothing new; restore it first.')
}
