import { z } from 'zod'
import type { Route } from '../context.ts'

const limit = (what: string) =>
  z
    .object({ limit: z.number().int(), used: z.number().int() })
    .describe(`${what}, over all keys of the user and all gateways`)
export const limitsAnswer = z
  .object({
    requestsPerMinute: limit('Requests within this minute'),
    createsPerMinute: limit('Videos asked for within this minute, retries among them'),
    createsPerDay: limit('Videos asked for within this day (UTC)'),
    openVideos: limit('Videos that have not ended'),
    apiKeys: limit('Keys that are valid'),
    streams: z
      .object({ limit: z.number().int(), used: z.number().int() })
      .describe('Live streams open at once, on this gateway'),
  })
  .meta({ id: 'Limits' })

export const getLimits: Route = (app, { apiKeys, limits, open }) => {
  app.get(
    '/api/me/limits',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'getLimits',
        tags: ['me'],
        summary: 'How much the user may do, and what is used of it',
        description: 'Beyond a limit the answer is 429 `limit_exceeded`, and names it.',
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
        streams: pair('streams'),
      }
    },
  )
}
