import { existsSync, readFileSync } from 'node:fs'

const devFile = '.reelkeeper/dev.json'

/** NATS_URL, else what an `npm start` in this directory says. */
export function natsUrl(): string | undefined {
  if (process.env['NATS_URL']) return process.env['NATS_URL']
  return existsSync(devFile) ? (JSON.parse(readFileSync(devFile, 'utf8')) as { natsUrl: string }).natsUrl : undefined
}

/** DATABASE_URL, else what an `npm start` in this directory says. */
export function databaseUrl(): string | undefined {
  if (process.env['DATABASE_URL']) return process.env['DATABASE_URL']
  return existsSync(devFile) ? (JSON.parse(readFileSync(devFile, 'utf8')) as { databaseUrl: string }).databaseUrl : undefined
}
