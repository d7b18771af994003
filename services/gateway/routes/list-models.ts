import { z } from 'zod'
import type { Route } from '../context.ts'
import { modelSchema, modelsOf } from '../models.ts'

export const listModels: Route = (app, context) => {
  app.get(
    '/api/models',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'listModels',
        tags: ['videos'],
        summary: 'What may be asked for, as far as it is known',
        response: { 200: z.object({ data: z.array(modelSchema) }).meta({ id: 'ModelList' }) },
      },
    },
    async () => ({ data: modelsOf(context) }),
  )
}
