/**
 * The operator's own accounts, one at each provider that has been given credentials; and which
 * account a video is made with. A key goes to the provider it was given for, and only to the
 * address it was given with.
 */
import { describeProviders } from '#libs/provider/registry.ts'
import type { ConfiguredProvider } from '#libs/provider/settings.ts'
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import type { NewVideo } from '#libs/store/accept-video.ts'
import type { EffectiveConfig, Pins } from '#libs/store/submissions.ts'

export class SystemAccounts {
  /** What a video is made with where nobody chose: the provider, and by provider its model. */
  readonly defaults: NewVideo['system']
  readonly #places = new Map<string, { baseUrl: string; keyCipher: string | null }>()

  /** Each key is encrypted once, so that its account is opened once, too. */
  constructor(configured: readonly ConfiguredProvider[], keys: Keyring) {
    const on = configured.filter((one) => one.isOn)
    for (const { name, baseUrl, apiKey } of on)
      this.#places.set(name, { baseUrl, keyCipher: apiKey === null ? null : encrypt(apiKey, keys) })
    this.defaults = {
      provider: on[0]?.name ?? '',
      providers: Object.fromEntries(
        describeProviders(on).map(({ name, model, guarantee, anywhere }) => [
          name,
          { model, guarantee, anywhere },
        ]),
      ),
    }
  }

  isOn(provider: string): boolean {
    return this.#places.has(provider)
  }

  /** The user's own account where it is at this provider, else the system's; null: none. */
  pins(provider: string, own: EffectiveConfig | null): Pins | null {
    const place = this.#places.get(provider)
    if (!place) return null
    // rule: a key goes to the provider it was given for
    if (own?.keyCipher && own.provider === provider)
      return { provider, baseUrl: own.baseUrl ?? place.baseUrl, keyCipher: own.keyCipher }
    const { baseUrl, keyCipher } = place
    return keyCipher === null ? null : { provider, baseUrl, keyCipher }
  }
}
