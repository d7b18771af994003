/** What `npm start` tells the services, beside what its own environment says. */
import { resolve } from 'node:path'
import { fileSettings } from '#libs/files/settings.ts'
import { keyEncryptionKey, sealingKeyOf } from '#libs/runtime/secrets.ts'
import { providerCredentials, simulatedProviders } from './simulated-providers.ts'
import type { Secrets } from './state.ts'

/** On one's own machine one user is all there are: no share of anything is kept for others. */
const ofOneUser = {
  RATE_LIMIT_PER_MINUTE: '1000000',
  MAX_CREATES_PER_MINUTE: '1000000',
  MAX_CREATES_PER_DAY: '10000000',
  MAX_OPEN_VIDEOS: '1000000',
  MAX_CONNECTIONS_PER_ADDRESS: '20000',
}

/** Of every service; `env` is that of `npm start`. */
export const commonSettings = (
  env: NodeJS.ProcessEnv,
  { dir, simulatorPort, secrets }: { dir: string; simulatorPort: number; secrets: Secrets },
): NodeJS.ProcessEnv => ({
  ...simulatedProviders(`http://127.0.0.1:${simulatorPort}`, secrets.providerKey),
  TOAPIS_BASE_URL: `http://127.0.0.1:${simulatorPort}/v1`,
  TOAPIS_WEBHOOK_SECRET: secrets.webhookSecret,
  FILES_DIR: resolve(dir, 'files'),
  // halves what a process needs to load its modules, from the second start on
  NODE_COMPILE_CACHE: resolve(dir, 'compile-cache'),
  FILE_TRUSTED_HOSTS: `127.0.0.1:${simulatorPort}`,
  ...ofOneUser,
  ...env,
  NO_PROXY: ['127.0.0.1', 'localhost', env['NO_PROXY'] ?? env['no_proxy']]
    .filter(Boolean)
    .join(','),
  KEY_ENCRYPTION_KEY: secrets.keyEncryptionKey,
  HEALTH_PORT: '0',
  HEALTH_HOST: '127.0.0.1',
  SIMULATOR_PORT: String(simulatorPort),
  SIMULATOR_DATA: resolve(dir, 'simulator'),
})

/** Of the gateway: it gets the public half of the key, and spends nothing. */
export const gatewaySettings = (port: number, secrets: Secrets): NodeJS.ProcessEnv => ({
  PORT: String(port),
  HOST: '127.0.0.1',
  ...Object.fromEntries(providerCredentials().map((name) => [name, undefined])),
  KEY_ENCRYPTION_KEY: undefined,
  KEY_SEALING_KEY: sealingKeyOf(keyEncryptionKey.parse(secrets.keyEncryptionKey)[0]).toString(
    'base64',
  ),
  STREAM_TOKEN_KEY: secrets.streamTokenKey,
})

const ofOperator = [...Object.keys(fileSettings), 'FILE_DAYS', 'KEY_ENCRYPTION_KEY']

/** What the CLI has to know of the services' settings. */
export const operatorSettings = (common: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(ofOperator.map((name) => [name, common[name]]))
