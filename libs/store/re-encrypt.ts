/**
 * Seals every stored provider key to the keyring's first key, in batches. Safe beside running
 * services and to run again: a text that changed meanwhile is left alone, and one that no key opens
 * is counted, not touched.
 */
import { isCurrent, reseal, type Keyring } from '#libs/runtime/secrets.ts'
import type { Database } from './connect.ts'

export interface ReEncrypted {
  changed: number
  failed: number
}

type Key = readonly { column: string; type: 'uuid' | 'int'; first: string | number }[]
type Row = Record<string, string | number> & SealedRow

/** Of an account; without an address where it is at its provider's own. */
export interface SealedRow {
  provider: string
  baseUrl: string | null
  keyCipher: string
}

export interface ReEncryptOptions {
  /** Told what is sealed to a former key, before it is sealed anew. */
  before(rows: SealedRow[]): Promise<void>
  /** Told after every batch. */
  progress(table: string, done: ReEncrypted): void
  batch?: number
}

const uuid = (column: string) =>
  ({ column, type: 'uuid', first: '00000000-0000-0000-0000-000000000000' }) as const
const int = (column: string) => ({ column, type: 'int', first: 0 }) as const
const tables: Record<string, Key> = {
  AiConfig: [uuid('id')],
  Submission: [uuid('videoId'), int('attempt'), int('send')],
}

export async function reEncrypt(
  db: Database,
  keys: Keyring,
  { before, progress, batch = 500 }: ReEncryptOptions,
): Promise<ReEncrypted> {
  const total = { changed: 0, failed: 0 }
  for (const [table, key] of Object.entries(tables)) {
    const done = { changed: 0, failed: 0 }
    let after = key.map((one) => one.first)
    for (
      let rows = await page(db, table, key, after, batch);
      rows.length;
      rows = await page(db, table, key, after, batch)
    ) {
      after = key.map(({ column }) => rows.at(-1)![column]!)
      const changes = rows
        .filter((row) => !isCurrent(row.keyCipher, keys))
        .map((row) => ({ row, renewed: renew(row.keyCipher, keys) }))
      const renewable = changes.filter((one) => one.renewed !== null) as {
        row: Row
        renewed: string
      }[]
      done.failed += changes.length - renewable.length
      if (renewable.length) {
        await before(renewable.map((one) => one.row))
        done.changed += await save(db, table, key, renewable)
      }
      progress(table, done)
    }
    total.changed += done.changed
    total.failed += done.failed
  }
  return total
}

function renew(cipher: string, keys: Keyring): string | null {
  try {
    return reseal(cipher, keys)
  } catch {
    return null
  }
}

function page(
  db: Database,
  table: string,
  key: Key,
  after: (string | number)[],
  limit: number,
): Promise<Row[]> {
  const columns = key.map(({ column }) => `"${column}"`).join(', ')
  const bound = key.map(({ type }, i) => `$${i + 1}::${type}`).join(', ')
  return db.$queryRawUnsafe<Row[]>(
    `SELECT ${columns}, provider, "baseUrl", "keyCipher" FROM "${table}" WHERE (${columns}) > (${bound}) AND "keyCipher" IS NOT NULL ORDER BY ${columns} LIMIT ${limit}`,
    ...after,
  )
}

function save(
  db: Database,
  table: string,
  key: Key,
  changes: { row: Row; renewed: string }[],
): Promise<number> {
  const names = key.map((_, i) => `k${i}`)
  const arrays = key.map(({ type }, i) => `$${i + 3}::${type}[]`).join(', ')
  const same = key.map(({ column }, i) => `t."${column}" = c.k${i}`).join(' AND ')
  return db.$executeRawUnsafe(
    `UPDATE "${table}" t SET "keyCipher" = c.renewed FROM unnest($1::text[], $2::text[], ${arrays}) AS c(old, renewed, ${names.join(', ')}) WHERE ${same} AND t."keyCipher" = c.old`,
    changes.map((one) => one.row.keyCipher),
    changes.map((one) => one.renewed),
    ...key.map(({ column }) => changes.map((one) => one.row[column])),
  )
}
