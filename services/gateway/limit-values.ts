/** What is limited, and how it is told that a limit is exceeded. */
import { z } from 'zod'
import { Problem } from './problem.ts'

/** An operator's exceptions for one user, beside the settings. */
export const limitsSchema = z.object({
  requestsPerMinute: z.number().int().min(1),
  createsPerMinute: z.number().int().min(0),
  createsPerDay: z.number().int().min(0),
  openVideos: z.number().int().min(0),
  apiKeys: z.number().int().min(0),
  streams: z.number().int().min(0),
})
export type LimitValues = z.infer<typeof limitsSchema>
export type LimitName = keyof LimitValues

const words: Record<LimitName, string> = {
  requestsPerMinute: 'requests a minute',
  createsPerMinute: 'videos asked for within a minute',
  createsPerDay: 'videos asked for within a day (UTC)',
  openVideos: 'videos that have not ended',
  apiKeys: 'API keys that are valid',
  streams: 'live streams open at once',
}

export const exceeded = (
  name: LimitName,
  limit: number,
  used: number,
  retryAfterSeconds: number,
): Problem =>
  new Problem(
    429,
    'limit_exceeded',
    `This user has ${used} ${words[name]}, of ${limit} it may have.`,
    { retryAfterSeconds: Math.max(1, retryAfterSeconds), limit: { name, limit, used } },
  )
