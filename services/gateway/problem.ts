/**
 * Every error as application/problem+json with a stable `code`, the fields at fault, and what to do
 * about it.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import { BusUnavailable } from '#libs/bus/bus.ts'
import { isOutage } from '#libs/store/errors.ts'
import { Refused, type RefusalCode } from '#libs/scene-video/refusals.ts'

export const problemSchema = z
  .object({
    type: z.string().meta({ example: 'about:blank' }),
    title: z.string().meta({ example: 'Not Found' }),
    status: z.number().int().meta({ example: 404 }),
    detail: z.string().meta({ description: 'For people.', example: 'There is no such video.' }),
    code: z
      .string()
      .meta({ description: 'Stable: programs decide by this.', example: 'not_found' }),
    requestId: z
      .string()
      .optional()
      .meta({ description: 'As in the header x-request-id, and in the gateway’s log.' }),
    limit: z
      .object({ name: z.string(), limit: z.number(), used: z.number() })
      .optional()
      .meta({ description: 'What is exceeded, where a limit is.' }),
    errors: z
      .array(
        z.object({
          pointer: z.string().meta({ description: 'JSON pointer to the field' }),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem' })

type Limit = NonNullable<z.infer<typeof problemSchema>['limit']>

export interface FieldError {
  pointer: string
  detail: string
}

export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly errors: FieldError[] | undefined
  readonly retryAfterSeconds: number | undefined
  readonly limit: Limit | undefined
  /** Methods that this path has, where the one asked for is none of them. */
  readonly allow: string[] | undefined
  constructor(
    status: number,
    code: string,
    detail: string,
    more: {
      errors?: FieldError[]
      retryAfterSeconds?: number
      limit?: Limit
      allow?: string[]
    } = {},
  ) {
    super(detail)
    this.status = status
    this.code = code
    this.errors = more.errors
    this.retryAfterSeconds = more.retryAfterSeconds
    this.limit = more.limit
    this.allow = more.allow
  }
}

export const notFound = (what = 'There is nothing here.') => new Problem(404, 'not_found', what)
/** A value that is well formed, and yet nothing can be made with it. */
export const unprocessable = (code: string, pointer: string, detail: string) =>
  new Problem(422, code, `The request cannot be carried out: ${detail}`, {
    errors: [{ pointer, detail }],
  })
export const invalid = (pointer: string, detail: string) =>
  new Problem(400, 'invalid_request', `The request is not valid: ${detail}`, {
    errors: [{ pointer, detail }],
  })

const headOfContent = [
  'location',
  'content-length',
  'content-encoding',
  'content-disposition',
  'etag',
  'last-modified',
  'cache-control',
]

/** Fastify's error handler. */
export function sendProblem(
  err: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const problem = toProblem(err, request.routeOptions.bodyLimit)
  if (problem.code === 'internal')
    request.log.error({ err, route: request.routeOptions?.url }, 'request failed')
  if (problem.status === 503 || problem.retryAfterSeconds !== undefined)
    void reply.header('retry-after', String(problem.retryAfterSeconds ?? 1))
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer')
  if (problem.allow) void reply.header('allow', problem.allow.join(', '))
  // the head of some answer that could not be sent must not describe this one
  for (const name of headOfContent) reply.removeHeader(name)
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(bodyOf(problem, request.id))
}

export const bodyOf = ({ status, code, message, errors, limit }: Problem, requestId?: string) => ({
  type: 'about:blank',
  title: STATUS_CODES[status] ?? 'Error',
  status,
  detail: message,
  code,
  ...(errors ? { errors } : {}),
  ...(limit ? { limit } : {}),
  ...(requestId ? { requestId } : {}),
})

const refusalStatus: Record<RefusalCode, number> = {
  not_found: 404,
  not_current_attempt: 409,
  already_terminal: 409,
  not_failed: 409,
  idempotency_key_in_use: 409,
  idempotency_key_reused: 422,
  api_key_required: 422,
  invalid_request: 400,
  not_ended: 409,
  not_archived: 409,
  archived: 409,
  not_awaited: 503,
  budget_exceeded: 402,
}

/** A refusal of ours; one whose code this version does not know yet is a conflict. */
export const refusal = ({ code, detail }: { code: string; detail: string }): Problem =>
  new Problem(
    code in refusalStatus ? refusalStatus[code as RefusalCode] : 409,
    code,
    detail,
    code === 'idempotency_key_in_use' ? { retryAfterSeconds: 1 } : {},
  )

/** Codes of Fastify's own refusals where the status alone does not tell. */
const codes: Record<number, string> = {
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'too_large',
  414: 'not_found',
  415: 'unsupported_media_type',
  431: 'too_large',
}

function toProblem(err: unknown, bodyLimit: number | undefined): Problem {
  if (err instanceof Problem) return err
  if (err instanceof Refused) return refusal({ code: err.code, detail: err.message })
  if (hasZodFastifySchemaValidationErrors(err)) {
    if (err.validationContext === 'params') return notFound()
    return new Problem(
      400,
      'invalid_request',
      `The ${err.validationContext ?? 'body'} of the request is not valid; see errors.`,
      { errors: err.validation.flatMap(fieldErrors) },
    )
  }
  if (err instanceof BusUnavailable || isOutage(err))
    return new Problem(503, 'not_ready', 'A part of the system is away; try again shortly.')
  const { statusCode, message, code } = err as FastifyError
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new Problem(
      415,
      'unsupported_media_type',
      'Send JSON, as content-type application/json.',
    )
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' && bodyLimit)
    return new Problem(413, 'too_large', `The body is too large: ${bodyLimit} bytes at most.`)
  if (statusCode && statusCode >= 400 && statusCode < 500)
    return new Problem(
      statusCode === 414 ? 404 : statusCode,
      codes[statusCode] ?? 'invalid_request',
      message,
    )
  return new Problem(
    500,
    'internal',
    'Something went wrong on our side; it has been noted. Trying again may help.',
  )
}

function fieldErrors({
  instancePath,
  message,
  params,
}: {
  instancePath: string
  message?: string
  params?: unknown
}): FieldError[] {
  const base = instancePath === '/' ? '' : instancePath
  const { keys } = (params ?? {}) as { keys?: unknown }
  if (Array.isArray(keys))
    return keys.map((key) => ({
      pointer: `${base}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`,
      detail: 'is not known here; leave it out',
    }))
  return [{ pointer: base, detail: message ?? 'is not valid' }]
}
