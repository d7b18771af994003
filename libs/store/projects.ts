/** Projects, scripts, scenes and AI configurations: what a user writes through the gateway. Never a video. */
import type { Database } from './connect.ts'

export class ProjectWriter {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  async createProject(userId: string, title: string) {
    return this.#db.project.create({ data: { userId, title } })
  }

  /** Null when the project is not this user's. */
  async createScript(userId: string, projectId: string, title: string) {
    if (!(await this.#db.project.count({ where: { id: projectId, userId } }))) return null
    return this.#db.script.create({ data: { projectId, title } })
  }

  /** Null when the script is not in that project of this user. */
  async createScene(userId: string, projectId: string, scriptId: string, scene: { title: string | null; prompt: string }) {
    if (!(await this.#db.script.count({ where: { id: scriptId, projectId, project: { userId } } }))) return null
    return this.#db.scene.create({ data: { scriptId, ...scene } })
  }
}
