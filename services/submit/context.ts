/** What the parts of submit share. */
import type { Bus } from '#libs/bus/bus.ts'
import type { DeadLetterCounter } from '#libs/bus/work.ts'
import type { Callbacks } from '#libs/provider/callbacks.ts'
import type { ProviderSource } from '#libs/provider/providers.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import type { FairSlots } from '#libs/runtime/fair-slots.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { CounterLike } from '#libs/runtime/metrics.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { SubmissionWriter } from '#libs/store/submissions.ts'
import type { Absences } from './absences.ts'
import type { Gate } from './gate.ts'
import type { SendingAccounts } from './accounts.ts'
import type { SubmitConfig } from './config.ts'
import type { ImageSource } from './images.ts'
import type { LookUpTurns } from './look-up-turns.ts'
import type { SystemAccounts } from './system-accounts.ts'

export interface SubmitContext {
  config: Pick<SubmitConfig, 'SEND_WINDOW_MS' | 'LOOKUP_WINDOW_MS'>
  callbacks: InterfaceOf<Callbacks>
  log: Logger
  bus: Bus
  store: InterfaceOf<SubmissionWriter>
  providers: ProviderSource
  systemAccounts: SystemAccounts
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
  /** Videos accepted and read at once, shared by user: many are one statement. */
  turns: FairSlots
  /** Other commands, and what is charged, carried out at once, shared by user. */
  commands: FairSlots
  absences: Absences
  lookUpTurns: InterfaceOf<LookUpTurns>
  images: ImageSource
  /** Creates with images within them at once: each holds them in memory. */
  imageSlots: FairSlots
  gate: InterfaceOf<Gate>
}
