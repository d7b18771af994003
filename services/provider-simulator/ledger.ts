/**
 * Who was charged for what, and at which provider. A task's whole fate (when it starts and ends,
 * how) is decided and committed before its create is answered, so killing the simulator changes
 * nothing: states follow from stored instants.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { defaults, merge, patchSchema, type Settings } from './settings.ts'

export type Outcome = 'completed' | 'failed' | 'blocked' | 'expired'

export interface Task {
  taskId: string
  provider: string
  ownId: string | null
  account: string
  model: string
  prompt: string
  createdAt: number
  startsAt: number
  endsAt: number
  outcome: Outcome
  /** Says a status word of its own until it ends. */
  strange: number
  /** When it was cancelled. */
  cancelledAt: number | null
  dedupeKey: string | null
  callbackUrl: string | null
  /** What its dialect keeps with it, as JSON. */
  input: string
  webhookAttempts: number
}

/** Those that came later have a default, and are added to a ledger that is without them. */
const columns: Record<keyof Task, string> = {
  taskId: 'TEXT PRIMARY KEY',
  ownId: 'TEXT',
  account: 'TEXT NOT NULL',
  model: 'TEXT NOT NULL',
  createdAt: 'INTEGER NOT NULL',
  startsAt: 'INTEGER NOT NULL',
  endsAt: 'INTEGER NOT NULL',
  outcome: 'TEXT NOT NULL',
  strange: 'INTEGER NOT NULL',
  webhookAttempts: 'INTEGER NOT NULL DEFAULT 0',
  provider: "TEXT NOT NULL DEFAULT 'toapis'",
  prompt: "TEXT NOT NULL DEFAULT ''",
  cancelledAt: 'INTEGER',
  dedupeKey: 'TEXT',
  callbackUrl: 'TEXT',
  input: "TEXT NOT NULL DEFAULT '{}'",
}
const names = Object.keys(columns) as (keyof Task)[]
const select = `SELECT ${names.join(', ')} FROM task`

/** Of one account at one provider. */
export interface Owner {
  provider: string
  account: string
}

export class Ledger {
  readonly #db: DatabaseSync
  settings: Settings = defaults

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true })
    this.#db = new DatabaseSync(join(dir, 'ledger.sqlite'))
    const defined = names.map((name) => `${name} ${columns[name]}`).join(', ')
    this.#db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS task (${defined});
      CREATE TABLE IF NOT EXISTS settings (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL);`)
    const there = new Set(
      this.#db
        .prepare('PRAGMA table_info(task)')
        .all()
        .map((row) => row['name']),
    )
    for (const name of names.filter((one) => !there.has(one)))
      this.#db.exec(`ALTER TABLE task ADD COLUMN ${name} ${columns[name]}`)
    this.#db.exec(`CREATE INDEX IF NOT EXISTS task_own ON task (ownId);
      CREATE INDEX IF NOT EXISTS task_dedupe ON task (dedupeKey);
      CREATE INDEX IF NOT EXISTS task_created ON task (provider, account, createdAt);`)
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
      .prepare(`INSERT INTO task (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
      .run(...names.map((name) => task[name]))
  }

  byTaskId({ provider, account }: Owner, taskId: string): Task | undefined {
    return this.#rows('WHERE taskId = ? AND provider = ? AND account = ?', [
      taskId,
      provider,
      account,
    ])[0]
  }

  /** Once the lag of look-ups has passed since its create; the newest, where there are several. */
  byOwnId({ provider, account }: Owner, ownId: string, now: number): Task | undefined {
    return this.#rows(
      'WHERE ownId = ? AND provider = ? AND account = ? AND createdAt <= ? ORDER BY createdAt DESC LIMIT 1',
      [ownId, provider, account, now - this.settings.lookupLagMs],
    )[0]
  }

  byDedupeKey({ provider, account }: Owner, key: string): Task | undefined {
    return this.#rows('WHERE dedupeKey = ? AND provider = ? AND account = ?', [
      key,
      provider,
      account,
    ])[0]
  }

  /** Created between these instants and visible to look-ups, the newest first. */
  list({ provider, account }: Owner, from: number, to: number, now: number): Task[] {
    return this.#rows(
      'WHERE provider = ? AND account = ? AND createdAt BETWEEN ? AND ? ORDER BY createdAt DESC, rowid DESC',
      [provider, account, from, Math.min(to, now - this.settings.lookupLagMs)],
    )
  }

  countOpen({ provider, account }: Owner, now: number): number {
    const row = this.#db
      .prepare(
        'SELECT count(*) AS open FROM task WHERE provider = ? AND account = ? AND endsAt > ? AND cancelledAt IS NULL',
      )
      .get(provider, account, now)
    return Number(row?.['open'])
  }

  byId(taskId: string): Task | undefined {
    return this.#rows('WHERE taskId = ?', [taskId])[0]
  }

  all(): Task[] {
    return this.#rows('ORDER BY createdAt, rowid', [])
  }

  /** Ended, and not yet told `tries` times, of those whom somebody wants to be told of. */
  toTell(now: number, tries: number, ofAll: boolean): Task[] {
    return this.#rows(
      `WHERE (endsAt <= ? OR cancelledAt IS NOT NULL) AND webhookAttempts < ?
        AND (callbackUrl IS NOT NULL ${ofAll ? "OR provider = 'toapis'" : ''}) ORDER BY endsAt LIMIT 200`,
      [now, tries],
    )
  }

  /** Whether there is any that is to be told of once it has ended. */
  mayTell(tries: number, ofAll: boolean): boolean {
    const tellable = `webhookAttempts < ? AND (callbackUrl IS NOT NULL ${ofAll ? "OR provider = 'toapis'" : ''})`
    return this.#rows(`WHERE ${tellable} LIMIT 1`, [tries]).length > 0
  }

  told(taskId: string, attempts: number): void {
    this.#db.prepare('UPDATE task SET webhookAttempts = ? WHERE taskId = ?').run(attempts, taskId)
  }

  cancel(taskId: string, now: number): void {
    this.#db.prepare('UPDATE task SET cancelledAt = ? WHERE taskId = ?').run(now, taskId)
  }

  close(): void {
    this.#db.close()
  }

  #rows(where: string, values: SQLInputValue[]): Task[] {
    return this.#db.prepare(`${select} ${where}`).all(...values) as unknown as Task[]
  }
}
