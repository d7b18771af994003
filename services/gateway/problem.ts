/** Every error as application/problem+json with a stable `code`. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { BusUnavailable } from '#libs/bus/bus.ts'
import { isDatabaseAway } from '#libs/store/connect.ts'

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
})

export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly errors: { pointer: string; detail: string }[] | undefined
  constructor(status: number, code: string, detail: string, errors?: { pointer: string; detail: string }[]) {
    super(detail)
    this.status = status
    this.code = code
    this.errors = errors
  }
}

export const notFound = (what = 'There is nothing here.') => new Problem(404, 'not_found', what)

const titles: Record<number, string> = {
  400: 'Bad request', 401: 'Unauthorized', 404: 'Not found', 409: 'Conflict', 413: 'Payload too large', 415: 'Unsupported media type', 422: 'Unprocessable content', 503: 'Not ready',
}

/** Fastify's error handler: known problems as they are, Postgres or NATS away as 503, all else as 500 without details. */
export function sendProblem(err: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(err)
  if (problem.status >= 500 && problem.code === 'internal') request.log.error({ err }, 'request failed')
  if (problem.status === 503) void reply.header('retry-after', '1')
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer')
  return reply.code(problem.status).type('application/problem+json').serializer(JSON.stringify).send({
    type: 'about:blank', title: titles[problem.status] ?? 'Error', status: problem.status, detail: problem.message, code: problem.code, ...(problem.errors ? { errors: problem.errors } : {}),
  })
}

function toProblem(err: unknown): Problem {
  if (err instanceof Problem) return err
  if (hasZodFastifySchemaValidationErrors(err)) {
    const errors = err.validation.map((one) => ({ pointer: one.instancePath, detail: one.message ?? 'is not valid' }))
    if (err.validationContext === 'params') return notFound()
    return new Problem(400, 'invalid_request', `The request’s ${err.validationContext ?? 'body'} is not valid.`, errors)
  }
  if (err instanceof BusUnavailable || isDatabaseAway(err)) return new Problem(503, 'not_ready', 'A part of the system is away; try again shortly.')
  const { statusCode, message, code } = err as FastifyError
  if (statusCode && statusCode >= 400 && statusCode < 500) return new Problem(statusCode, code === 'FST_ERR_CTP_BODY_TOO_LARGE' ? 'too_large' : 'invalid_request', message)
  return new Problem(500, 'internal', 'Something went wrong on our side.')
}
