import { expect, it } from 'vitest'
import { configuredProviders } from '#libs/provider/settings.ts'
import { decrypt, encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { SystemAccounts } from './system-accounts.ts'

const key: Keyring = [Buffer.alloc(32, 1)]
const settings = {
  PROVIDERS: ['kling', 'toapis', 'ark'],
  KLING_API_KEY: 'sk-kling',
  KLING_BASE_URL: 'https://kling.example.com',
  KLING_MODEL: 'kling-2.6',
  TOAPIS_API_KEY: 'sk-toapis',
}
const accounts = new SystemAccounts(configuredProviders(settings), key)
const opened = (pins: { baseUrl: string; keyCipher: string } | null) =>
  pins && [pins.baseUrl, decrypt(pins.keyCipher, key)]
const own = (provider: string, baseUrl: string | null = null) => ({
  provider,
  model: null,
  baseUrl,
  keyCipher: encrypt('sk-own', key),
  source: 'user' as const,
})

it('makes what nobody chose with the first of the providers, by its model', () => {
  expect(accounts.defaults.provider).toBe('kling')
  expect(accounts.defaults.providers).toMatchObject({
    // at an address that is not its own
    kling: { model: 'kling-2.6', guarantee: 'none', anywhere: { guarantee: 'proven' } },
    ark: { guarantee: 'by_match' },
  })
})

it('sends a key to the provider it was given for, and to no other', () => {
  expect(opened(accounts.pins('kling', own('kling')))).toEqual([settings.KLING_BASE_URL, 'sk-own'])
  const elsewhere = own('kling', 'https://own.example.com')
  expect(opened(accounts.pins('kling', elsewhere))).toEqual(['https://own.example.com', 'sk-own'])
  expect(opened(accounts.pins('toapis', elsewhere))).toEqual(['https://toapis.com/v1', 'sk-toapis'])
})

it('has no account where the system has none and the user’s is at another provider', () => {
  expect(accounts.pins('ark', own('kling'))).toBeNull()
  expect(accounts.pins('ark', own('ark'))).not.toBeNull()
  expect(accounts.pins('openai-videos', own('openai-videos'))).toBeNull()
  expect(accounts.isOn('ark')).toBe(true)
  expect(accounts.isOn('openai-videos')).toBe(false)
})
