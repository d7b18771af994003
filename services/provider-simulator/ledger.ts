/**
 * Who was charged for what. A task's whole fate (when it starts and ends, how) is decided and
 * committed before its create is answered, so killing the simulator changes nothing: states follow
 * from stored instants.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { defaults, merge, patchSchema, type Settings } from './settings.ts'

export interface Task {
  taskId: string
  ownId: string | null
  account: string
  model: string
  createdAt: number
  startsAt: number
  endsAt: number
  outcome: 'completed' | 'failed'
  /** Says a status word of its own until it ends. */
  strange: number
  webhookAttempts: number
}

const columns =
  'taskId, ownId, account, model, createdAt, startsAt, endsAt, outcome, strange, webhookAttempts'

export class Ledger {
  readonly #db: DatabaseSync
  settings: Settings = defaults

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true })
    this.#db = new DatabaseSync(join(dir, 'ledger.sqlite'))
    this.#db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS task (taskId TEXT PRIMARY KEY, ownId TEXT, account TEXT NOT NULL, model TEXT NOT NULL, createdAt INTEGER NOT NULL,
        startsAt INTEGER NOT NULL, endsAt INTEGER NOT NULL, outcome TEXT NOT NULL, strange INTEGER NOT NULL, webhookAttempts INTEGER NOT NULL DEFAULT 0);
      CREATE INDEX IF NOT EXISTS task_own ON task (ownId);
      CREATE TABLE IF NOT EXISTS settings (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL);`)
    const row = this.#db.prepare('SELECT body FROM settings').get()
    if (row) this.settings = merge(defaults, patchSchema.parse(JSON.parse(String(row['body']))))
  }

  saveSettings(settings: Settings): void {
    this.#db
      .prepare(
        'INSERT INTO settings VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body',
      )
      .run(JSON.stringify(settings))
    this.settings = settings
  }

  add(task: Task): void {
    this.#db
      .prepare(`INSERT INTO task (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(
        task.taskId,
        task.ownId,
        task.account,
        task.model,
        task.createdAt,
        task.startsAt,
        task.endsAt,
        task.outcome,
        task.strange,
        0,
      )
  }

  /** By task id, or by own id once `lagMs` have passed since its create; of that account only. */
  find(account: string, id: string, now: number): Task | undefined {
    const row = this.#db
      .prepare(
        `SELECT ${columns} FROM task WHERE account = ? AND (taskId = ? OR (ownId = ? AND createdAt <= ?)) ORDER BY createdAt DESC LIMIT 1`,
      )
      .get(account, id, id, now - this.settings.lookupLagMs)
    return row as unknown as Task | undefined
  }

  byId(taskId: string): Task | undefined {
    return this.#db
      .prepare(`SELECT ${columns} FROM task WHERE taskId = ?`)
      .get(taskId) as unknown as Task | undefined
  }

  all(): Task[] {
    return this.#db
      .prepare(`SELECT ${columns} FROM task ORDER BY createdAt, rowid`)
      .all() as unknown as Task[]
  }

  /** Ended, and not yet told to the webhook `tries` times. */
  toTell(now: number, tries: number): Task[] {
    return this.#db
      .prepare(
        `SELECT ${columns} FROM task WHERE endsAt <= ? AND webhookAttempts < ? ORDER BY endsAt LIMIT 200`,
      )
      .all(now, tries) as unknown as Task[]
  }

  told(taskId: string, attempts: number): void {
    this.#db.prepare('UPDATE task SET webhookAttempts = ? WHERE taskId = ?').run(attempts, taskId)
  }

  close(): void {
    this.#db.close()
  }
}
