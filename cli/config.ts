import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { natsSettings, readConfig, type NatsSettings } from '#libs/runtime/config.ts'
import { keyEncryptionKey, type Keyring } from '#libs/runtime/secrets.ts'
import { openDatabase, type Database } from '#libs/store/connect.ts'

/** The operator's settings for the system that `npm start` runs here; nothing when none does. */
const local = (): Record<string, string> =>
  existsSync('.reelkeeper/operator.json')
    ? (JSON.parse(readFileSync('.reelkeeper/operator.json', 'utf8')) as Record<string, string>)
    : {}

/** The environment; without a DATABASE_URL, what `npm start` keeps here. */
export function environment(): NodeJS.ProcessEnv {
  if (process.env['DATABASE_URL']) return process.env
  return { ...local(), ...process.env }
}

/**
 * How to reach NATS, by the environment, else as the operator of an `npm start` in this directory;
 * null where neither says.
 */
export const natsConfig = (): NatsSettings | null => {
  if (process.env['NATS_URL']) return readConfig(z.object(natsSettings), process.env)
  const { NATS_URL } = local()
  return NATS_URL ? { NATS_URL } : null
}

/** Without what opens it. */
export const addressOf = ({ NATS_URL }: NatsSettings): string =>
  NATS_URL.replaceAll(/\/\/[^@/]*@/g, '//')

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

/**
 * The keyring, where provider keys are to be sealed with it. @throws where an `npm start` in this
 * directory has another first key, and would open none of them
 */
export function keyringInUse(): Keyring {
  const keys = keyring()
  const here = process.env['DATABASE_URL'] ? undefined : local()['KEY_ENCRYPTION_KEY']
  if (here !== undefined && !keyEncryptionKey.parse(here)[0].equals(keys[0]))
    throw new Error(
      'The system that runs here has another KEY_ENCRYPTION_KEY: start it with this one first, or leave it out here.',
    )
  return keys
}

export const keyring = (): Keyring =>
  readConfig(z.object({ KEY_ENCRYPTION_KEY: keyEncryptionKey }), environment()).KEY_ENCRYPTION_KEY
