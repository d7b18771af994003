/** Projects, scripts and scenes: what a user writes through the gateway. Never a video. */
import { v7 } from '#libs/runtime/uuid.ts'
import type { Database } from './connect.ts'
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import { claimIdempotencyKey } from './idempotency.ts'

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
      if (!(await tx.project.count({ where: { id: projectId, userId } }))) return null
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
      if (!(await tx.script.count({ where: { id: scriptId, projectId, project: { userId } } })))
        return null
      const id = v7()
      const earlier = await claimIdempotencyKey(tx, userId, idempotencyKey, id)
      return earlier
        ? tx.scene.findUniqueOrThrow({ where: { id: earlier } })
        : tx.scene.create({ data: { id, scriptId, ...scene } })
    })
  }
}
