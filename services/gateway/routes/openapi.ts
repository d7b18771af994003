import { z } from 'zod'
import type { Route } from '../context.ts'

export const openapi: Route = (app) => {
  // made once: it is large, and whoever asks needs no key
  let made: Buffer | null = null
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
    (_request, reply) => {
      made ??= Buffer.from(JSON.stringify(app.swagger()))
      void reply
        .code(200)
        .type('application/json; charset=utf-8')
        .send(made as never)
    },
  )
}
