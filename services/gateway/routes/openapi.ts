import { z } from 'zod'
import type { Route } from '../context.ts'

export const openapi: Route = (app) => {
  app.get(
    '/openapi.json',
    {
      schema: {
        operationId: 'openapi',
        tags: ['service'],
        summary: 'This document',
        'x-public': true,
        response: { 200: z.looseObject({ openapi: z.string() }) },
      },
    },
    () => app.swagger() as unknown as { openapi: string },
  )
}
