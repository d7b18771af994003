/**
 * On one's own machine every provider is switched on, at the simulator, each under its own name and
 * with made-up credentials. Whoever has an account sets its address and its key.
 */
import { generateKeyPairSync } from 'node:crypto'
import { providerNames, settingPrefix } from '#libs/provider/registry.ts'
import { credentialNames } from '#libs/provider/settings.ts'

/** `key` serves as most parts of an account; some have to be of a form. */
function madeUp(setting: string, key: string): string {
  if (setting.endsWith('_APP_ID')) return '1500000001'
  // requests are signed with it, so the simulator has to know it
  if (setting.endsWith('_SECRET_KEY')) return 'simulated-secret-key'
  if (!setting.endsWith('_PRIVATE_KEY')) return key
  const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const
  const publicKeyEncoding = { type: 'spki', format: 'pem' } as const
  return generateKeyPairSync('rsa', { modulusLength: 2_048, privateKeyEncoding, publicKeyEncoding })
    .privateKey
}

export const simulatedProviders = (simulatorUrl: string, key: string): NodeJS.ProcessEnv => ({
  PROVIDERS: providerNames.join(','),
  ...Object.fromEntries(
    providerNames.flatMap((name) => [
      [`${settingPrefix(name)}BASE_URL`, `${simulatorUrl}/${name}`],
      [`${settingPrefix(name)}LOOK_UP_ANYWHERE`, 'true'],
      ...credentialNames(name).map((setting) => [setting, madeUp(setting, key)] as const),
    ]),
  ),
})

/** The names of all that opens an account, for a service that is not to have it. */
export const providerCredentials = (): string[] => providerNames.flatMap(credentialNames)
