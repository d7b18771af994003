/** What the parts of submit share. */
import type { Bus } from '#libs/bus/bus.ts'
import type { DeadLetterCounter } from '#libs/bus/work.ts'
import type { Provider } from '#libs/provider/provider.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import type { FairSlots } from '#libs/runtime/fair-slots.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { CounterLike } from '#libs/runtime/metrics.ts'
import { encrypt } from '#libs/runtime/secrets.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { Pins, SubmissionWriter } from '#libs/store/submissions.ts'
import type { Absences } from './absences.ts'
import type { SendingAccounts } from './accounts.ts'
import type { SubmitConfig } from './config.ts'

export interface SubmitContext {
  config: Pick<
    SubmitConfig,
    | 'TOAPIS_BASE_URL'
    | 'TOAPIS_API_KEY'
    | 'TOAPIS_MODEL'
    | 'KEY_ENCRYPTION_KEY'
    | 'SEND_WINDOW_MS'
    | 'LOOKUP_WINDOW_MS'
  >
  log: Logger
  bus: Bus
  store: InterfaceOf<SubmissionWriter>
  provider: Provider
  clock: Clock
  /** Publishes what a statement returned, soon and together with others. */
  publish(event: OwedEvent): void
  /** Publishes whatever is owed of a video. */
  publishOwed(id: string): Promise<unknown>
  creates: CounterLike<'answer'>
  lookups: CounterLike<'answer'>
  late: CounterLike<'said'>
  duplicates: CounterLike<never>
  dead: DeadLetterCounter
  accounts: SendingAccounts
  /** Requests to providers at once, shared by account. */
  slots: FairSlots
  absences: Absences
}

/** The system's key goes to the system's address only. */
export function addressAndKey(
  { config }: SubmitContext,
  own: { baseUrl: string | null; keyCipher: string | null } | null,
): Omit<Pins, 'provider'> {
  if (own?.keyCipher)
    return { baseUrl: own.baseUrl ?? config.TOAPIS_BASE_URL, keyCipher: own.keyCipher }
  return { baseUrl: config.TOAPIS_BASE_URL, keyCipher: systemKeyCipher(config) }
}

/** Encrypted once: the same text for every send, so that its account is opened once, too. */
const systemKeys = new WeakMap<object, string>()
function systemKeyCipher(config: SubmitContext['config']): string {
  const known = systemKeys.get(config)
  if (known !== undefined) return known
  const cipher = encrypt(config.TOAPIS_API_KEY, config.KEY_ENCRYPTION_KEY)
  systemKeys.set(config, cipher)
  return cipher
}
