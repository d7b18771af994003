/** What statistics are asked for by and answered as, for users and operators. */
import { z } from 'zod'
import { invalid } from './problem.ts'
import { instant } from './schemas.ts'

export const statsQuery = z.strictObject({
  from: instant.optional().describe('Created then or later; 7 days ago where it is not given'),
  to: instant.optional().describe('Created before then; now where it is not given'),
  by: z
    .enum(['all', 'provider', 'model'])
    .default('model')
    .describe('`model`: by provider and model'),
})

const count = z.number().int().min(0)
export const statsSchema = z
  .object({
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    data: z.array(
      z.object({
        provider: z.string().nullable(),
        model: z.string().nullable(),
        counts: z.object({ pending: count, generating: count, completed: count, failed: count }),
        errors: z.record(z.string(), count).describe('By code'),
        seconds: z
          .object({ p50: z.number(), p95: z.number(), p99: z.number(), of: count })
          .nullable()
          .describe(
            'From the request of an attempt to its completion, of the newest 5,000; null where none completed',
          ),
      }),
    ),
  })
  .meta({ id: 'Stats' })

const defaultDays = 7
const mostDays = 366
const dayMs = 24 * 3_600_000

/** @throws Problem 400 for a range that is none, or is too long */
export function statsRange(query: z.output<typeof statsQuery>, now: Date) {
  const toMs = query.to ? Date.parse(query.to) : now.getTime()
  const fromMs = query.from ? Date.parse(query.from) : toMs - defaultDays * dayMs
  if (!(fromMs < toMs)) throw invalid('/from', 'from must be before to')
  if (toMs - fromMs > mostDays * dayMs)
    throw invalid('/from', `the range must be no longer than ${mostDays} days`)
  const shown = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }
  return { fromMs, toMs, shown }
}
