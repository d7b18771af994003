/** Where, and with which account, a video is made. */
import type { VideoSignal } from '#libs/scene-video/signals.ts'
import type { Loaded, Pins, SendRecord } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'

/** An intent pins provider, base URL and key; a further send of the same attempt uses the same. */
export function pinnedAccountOf(
  { accounts, systemAccounts }: SubmitContext,
  { video, config }: Loaded,
  earlier?: SendRecord,
): Pins | null {
  const pins = earlier
    ? { provider: earlier.provider, baseUrl: earlier.baseUrl, keyCipher: earlier.keyCipher }
    : systemAccounts.pins(video.provider, config)
  // it may have been read before all keys were re-encrypted, and is written after
  // rule: what is pinned is sealed to the current key
  return pins && accounts.resealed(pins)
}

export const noAccount = (
  { systemAccounts }: SubmitContext,
  provider: string,
): Extract<VideoSignal, { type: 'REFUSED' }> => ({
  type: 'REFUSED',
  error: systemAccounts.isOn(provider)
    ? { code: 'bad_key', message: `There is no account at ${provider}: give a key of your own.` }
    : { code: 'unknown_provider', message: `${provider} is switched off.` },
})
