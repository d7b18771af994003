import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { readConfig } from '#libs/runtime/config.ts'
import { keyEncryptionKey, type Keyring } from '#libs/runtime/secrets.ts'
import { openDatabase, type Database } from '#libs/store/connect.ts'

const kept = (name: string): Record<string, string> =>
  existsSync(`.reelkeeper/${name}`)
    ? (JSON.parse(readFileSync(`.reelkeeper/${name}`, 'utf8')) as Record<string, string>)
    : {}

/** The environment; without a DATABASE_URL, what `npm start` keeps here. */
function environment(): NodeJS.ProcessEnv {
  if (process.env['DATABASE_URL']) return process.env
  return {
    ...process.env,
    DATABASE_URL: kept('dev.json')['databaseUrl'],
    KEY_ENCRYPTION_KEY:
      process.env['KEY_ENCRYPTION_KEY'] ?? kept('secrets.json')['keyEncryptionKey'],
  }
}

/** NATS_URL, else what an `npm start` in this directory says. */
export const natsUrl = (): string | undefined =>
  process.env['NATS_URL'] ?? kept('dev.json')['natsUrl']

/** Opens the database for the time of `work`. @throws ConfigError */
export async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
  const { DATABASE_URL } = readConfig(z.object({ DATABASE_URL: z.string() }), environment())
  const db = openDatabase(DATABASE_URL, 2)
  try {
    return await work(db)
  } finally {
    await db.$disconnect()
  }
}

export const keyring = (): Keyring =>
  readConfig(z.object({ KEY_ENCRYPTION_KEY: keyEncryptionKey }), environment()).KEY_ENCRYPTION_KEY
