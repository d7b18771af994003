import { z } from 'zod'
import { readAll, sessionSchema } from '#libs/ownership/records.ts'
import type { Route } from '../context.ts'
import { operatorAccess } from '../operator-schemas.ts'

const pollersSchema = z
  .object({
    data: z.array(
      z.object({
        session: z.string().describe('Of this start of the process'),
        name: z.string(),
        state: z.enum(['live', 'draining', 'dead']).describe('As recorded'),
        owned: z.number().int().describe('Videos it owned at its last heartbeat'),
        acceptsClaims: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'Pollers' })

export const operatorPollers: Route = (app, { bus }) => {
  app.get(
    '/api/operator/pollers',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorPollers',
        tags: ['operator'],
        summary: 'The pollers, and how much each has in hand',
        response: { 200: pollersSchema },
      },
    },
    async () => {
      const sessions = await readAll(bus, 'session', sessionSchema)
      const data = sessions.map(({ id, value }) => {
        const { name, state, owned, acceptsClaims } = value
        return { session: id, name, state, owned, acceptsClaims }
      })
      return { data: data.toSorted((a, b) => (a.name < b.name ? -1 : 1)) }
    },
  )
}
