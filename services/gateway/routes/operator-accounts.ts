import { z } from 'zod'
import type { Route } from '../context.ts'
import { operatorAccess } from '../operator-schemas.ts'

const count = z.number().int().min(0)
const accountsSchema = z
  .object({
    data: z.array(
      z.object({
        provider: z.string(),
        host: z.string(),
        users: count,
        open: count.describe('Videos sent there that have not ended'),
        waiting: count.describe('Of these, what waits because of what the provider said'),
        oldestOpenAt: z.iso.datetime().nullable(),
        sends: count.describe('Within a day, the newest 100,000'),
        answers: z.record(z.string(), count).describe('Answers to them, by meaning'),
      }),
    ),
  })
  .meta({ id: 'Accounts' })

export const operatorAccounts: Route = (app, { operator }) => {
  app.get(
    '/api/operator/accounts',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorAccounts',
        tags: ['operator'],
        summary: 'Where videos were sent within a day, and what was answered',
        response: { 200: accountsSchema },
      },
    },
    async () => ({ data: await operator.accounts() }),
  )
}
