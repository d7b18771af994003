/** The settings of a cluster's services. */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'

/** What every process is started with; compiled once, as in the image. */
export const inherited = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL('../../node_modules/.cache/compile', import.meta.url)),
  ...process.env,
}

/** Quick enough for a provider whose videos take seconds. */
const quick = {
  POLL_INTERVAL_MS: '1000',
  RECONCILE_INTERVAL_MS: '5000',
  STALE_AFTER_MS: '15000',
  CREATE_TIMEOUT_MS: '1500',
  SEND_WINDOW_MS: '1000',
  LOOKUP_WINDOW_MS: '6000',
  QUERY_PER_SECOND: '100000',
  QUERY_BURST: '100000',
  LOG_LEVEL: 'info',
}

export const settingsOf = (
  {
    simulatorUrl,
    crashPoints,
    filesDir,
  }: { simulatorUrl: string; crashPoints: string; filesDir: string },
  env: Record<string, string>,
): NodeJS.ProcessEnv => ({
  ...inherited,
  TOAPIS_BASE_URL: `${simulatorUrl}/v1`,
  TOAPIS_API_KEY: `sk-${randomBytes(12).toString('hex')}`,
  TOAPIS_WEBHOOK_SECRET: 'webhook-secret',
  KEY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  HEALTH_PORT: '0',
  HEALTH_HOST: '127.0.0.1',
  CRASH_POINTS: crashPoints,
  FILES_DIR: filesDir,
  ALLOW_PRIVATE_BASE_URLS: 'true',
  ...quick,
  ...env,
})
