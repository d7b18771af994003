/** submit → the other submits, core: what became of creates just now. */
import { z } from 'zod'

export const createOutcomesSubject = 'video.account.creates'

/** Of a reason, so many characters are told. */
export const toldOfReason = 500

export const createOutcomesSchema = z.object({
  /** The process that tells it, and knows it already. */
  from: z.string().max(100),
  outcomes: z
    .array(
      z.object({
        /** As libs/provider/accounts.ts tells them apart. */
        accountId: z.string().max(100),
        provider: z.string().max(100),
        video: z.string().max(100),
        /** Why it failed; null: it went well, or was refused for itself. */
        failure: z.string().nullable(),
      }),
    )
    .max(1_000),
})
export type CreateOutcomes = z.infer<typeof createOutcomesSchema>
export type CreateOutcome = CreateOutcomes['outcomes'][number]
