import { z } from 'zod'
import type { Route } from '../context.ts'
import { operatorAccess } from '../operator-schemas.ts'

const circuitsSchema = z
  .object({
    data: z.array(
      z.object({
        provider: z.string(),
        reason: z.string(),
        videos: z.number().int().min(0),
        nextTryAt: z.iso.datetime().nullable(),
      }),
    ),
  })
  .meta({ id: 'Circuits' })

export const operatorCircuits: Route = (app, { operator }) => {
  app.get(
    '/api/operator/circuits',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorCircuits',
        tags: ['operator'],
        summary: 'Why pending videos wait, by provider and reason',
        response: { 200: circuitsSchema },
      },
    },
    async () => ({ data: await operator.circuits() }),
  )
}
