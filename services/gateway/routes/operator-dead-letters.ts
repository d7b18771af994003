import { z } from 'zod'
import { deadLetters } from '#libs/bus/dead-letters.ts'
import type { Route } from '../context.ts'
import { operatorAccess } from '../operator-schemas.ts'

const mostShown = 200
const lettersSchema = z
  .object({
    data: z.array(
      z.object({
        sequence: z.number().int(),
        at: z.string(),
        subject: z.string(),
        reason: z.string(),
        bytes: z.number().int(),
      }),
    ),
  })
  .meta({ id: 'DeadLetters' })

export const operatorDeadLetters: Route = (app, { bus }) => {
  app.get(
    '/api/operator/dead-letters',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorDeadLetters',
        tags: ['operator'],
        summary: 'Messages that nobody could handle, newest first',
        description: `The newest ${mostShown}. The command \`reelkeeper dead-letters\` shows their bodies and puts them back.`,
        response: { 200: lettersSchema },
      },
    },
    async () => {
      const letters = (await deadLetters(bus)).slice(-mostShown).toReversed()
      return {
        data: letters.map(({ sequence, at, subject, reason, data, truncatedFrom }) => ({
          sequence,
          at,
          subject,
          reason,
          bytes: truncatedFrom ?? data.length,
        })),
      }
    },
  )
}
