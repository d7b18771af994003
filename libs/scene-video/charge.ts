/** What a create costs, as the commands that make one say it. */
import { z } from 'zod'
import { moneySchema } from './scene-video.ts'

/** With the usual budgets, in millionths of the currency; null: without bound. */
const chargeSchema = z.object({
  micros: z.number().int().min(1),
  dayMicros: z.number().min(0).nullable(),
  monthMicros: z.number().min(0).nullable(),
})
export type Charge = z.infer<typeof chargeSchema>

export const pricedFields = {
  /** For the video’s record. */
  cost: moneySchema.nullable().default(null),
  /** Its user pays where it is made; null: nothing is to be charged, or a gateway of before did. */
  charge: chargeSchema.nullable().default(null),
}
