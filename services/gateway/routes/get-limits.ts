import { z } from 'zod'
import type { Route } from '../context.ts'

const limit = (what: string) =>
  z
    .object({ limit: z.number().int(), used: z.number().int() })
    .describe(`${what}, over all keys of the user and all gateways`)
const budget = (time: string) =>
  z
    .object({ limit: z.number().nullable(), used: z.number(), currency: z.string() })
    .describe(
      `Money asked for within this ${time} (UTC), as far as prices are known; null: no limit`,
    )
export const limitsAnswer = z
  .object({
    requestsPerMinute: limit('Requests within this minute'),
    createsPerMinute: limit('Videos asked for within this minute, retries among them'),
    createsPerDay: limit('Videos asked for within this day (UTC)'),
    openVideos: limit('Videos that have not ended'),
    apiKeys: limit('Keys that are valid'),
    spendPerDay: budget('day'),
    spendPerMonth: budget('month'),
    streams: z
      .object({ limit: z.number().int(), used: z.number().int() })
      .describe('Live streams open at once, on this gateway'),
  })
  .meta({ id: 'Limits' })

export const getLimits: Route = (app, { apiKeys, budget: budgets, limits, open }) => {
  app.get(
    '/api/me/limits',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'getLimits',
        tags: ['me'],
        summary: 'How much the user may do, and what is used of it',
        description:
          'Beyond a limit the answer is 429 `limit_exceeded`, beyond a budget 402 `budget_exceeded`; both name it.',
        response: { 200: limitsAnswer },
      },
    },
    async ({ identity }) => {
      const { userId } = identity
      const used = {
        ...(await limits.usedBy(userId)),
        apiKeys: await apiKeys.countOf(userId),
        streams: open.openOf(userId),
      }
      const most = limits.valuesOf(userId)
      const pair = (name: keyof typeof used) => ({ limit: most[name], used: used[name] })
      return {
        requestsPerMinute: pair('requestsPerMinute'),
        createsPerMinute: pair('createsPerMinute'),
        createsPerDay: pair('createsPerDay'),
        openVideos: pair('openVideos'),
        apiKeys: pair('apiKeys'),
        ...(await budgets.usedBy(userId)),
        streams: pair('streams'),
      }
    },
  )
}
