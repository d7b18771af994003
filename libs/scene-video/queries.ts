/** submit → pollers, core: so many queries of this account were made for look-ups just now. */
import { z } from 'zod'

export const queriesSubject = 'video.account.queries'

export const queriesSchema = z.object({
  /** As libs/provider/accounts.ts tells them apart. */
  accountId: z.string().max(100),
  count: z.number().int().min(1).max(10_000),
})
export type Queries = z.infer<typeof queriesSchema>
