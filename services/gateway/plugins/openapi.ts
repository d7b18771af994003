/** OpenAPI 3.1 out of the schemas that validate, and as pages at /docs. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { STATUS_CODES } from 'node:http'
import type { App } from '../context.ts'
import { bodyExamples, uploadBody } from './openapi-examples.ts'
import { describeBytes } from './openapi-bytes.ts'

/** Which problems a route answers beyond those that all like it do: `schema['x-problems']`. */
declare module 'fastify' {
  interface FastifySchema {
    'x-problems'?: readonly number[]
    'x-public'?: boolean
  }
}

/**
 * Answered by others than our routes: the pages by their plugin, the metrics by the server of
 * runtime/health.ts.
 */
const elsewhere = {
  '/docs': {
    get: {
      operationId: 'docs',
      tags: ['service'],
      summary: 'This document as pages',
      'x-public': true,
      responses: {
        200: { description: 'The pages', content: { 'text/html': { schema: { type: 'string' } } } },
      },
    },
  },
  '/metrics': {
    get: {
      servers: [
        {
          url: 'http://{host}:{port}',
          description: 'The port HEALTH_PORT, which also answers /livez and /readyz',
          variables: { host: { default: 'localhost' }, port: { default: '9090' } },
        },
      ],
      operationId: 'metrics',
      tags: ['service'],
      summary: 'Counters for Prometheus',
      security: [],
      responses: {
        200: {
          description: 'Prometheus’ text format',
          content: { 'text/plain': { schema: { type: 'string' } } },
        },
      },
    },
  },
}

const tags = {
  videos: 'Generate videos for scenes, read them, cancel and retry them',
  live: 'What happens to videos, as it happens',
  projects: 'Projects, their scripts and scenes',
  configuration: 'Which provider account makes the videos',
  me: 'Who is asking, and how much it may do',
  bulk: 'The same act on many videos',
  keys: 'API keys, and tokens for browsers',
  operator: 'What operators see across users: keys of scope operator, made by the CLI',
  webhooks: 'What providers tell',
  service: 'How this gateway is, and what it offers',
}

const always = [400, 408, 431, 500, 503]
const ofKeys = [401, 403, 429]
const ofBodies = [413, 415]
const header = (description: string) => ({ description, schema: { type: 'integer', minimum: 0 } })
const limitHeaders = {
  'RateLimit-Limit': header('Requests this key may make in a window'),
  'RateLimit-Remaining': header('Of them left'),
  'RateLimit-Reset': header('Seconds until the window is over'),
}
const description = `Keeps AI video generation tasks alive: submitted once, paid once, polled until they end.

Errors are \`application/problem+json\`; programs decide by \`code\`. 503 and 429 carry \`Retry-After\`. Every POST below \`/api\` takes an \`Idempotency-Key\`
where it says so: sent again within 24 h with the same body, it answers with the same object as it is now.`

type Schema = Record<string, unknown>
interface Body {
  required?: boolean
  content: Record<string, { schema?: Schema; example?: unknown }>
}
interface Operation {
  operationId?: string
  requestBody?: Body
  responses: Record<string, unknown>
  security?: unknown[]
  parameters?: { in: string; name: string }[]
  'x-problems'?: number[]
  'x-public'?: boolean
}
interface OpenApi {
  paths: Record<string, Record<string, Operation>>
  components?: Record<string, unknown>
}

function withProblems(document: OpenApi): OpenApi {
  const used = new Set<number>()
  const paths = {
    ...document.paths,
    '/docs': structuredClone(elsewhere['/docs']) as Record<string, Operation>,
  }
  for (const [method, operation] of Object.values(paths).flatMap((path) => Object.entries(path))) {
    const common = operation['x-public'] ? always : [...always, ...ofKeys]
    for (const status of [
      ...common,
      ...(method === 'get' ? [] : ofBodies),
      ...(operation['x-problems'] ?? []),
    ]) {
      used.add(status)
      operation.responses[status] ??= { $ref: `#/components/responses/Problem${status}` }
    }
    describeBytes(operation.operationId, operation.responses)
    if (operation.operationId === 'createUpload') operation.requestBody = uploadBody
    if (operation.requestBody) describeBody(operation.requestBody, operation.operationId)
    if (operation['x-public']) operation.security = []
    else describeLimits(operation)
    delete operation['x-problems']
    delete operation['x-public']
  }
  const content = {
    'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
  }
  const retryAfter = { 'Retry-After': header('Seconds to wait before asking again') }
  const problems = Object.fromEntries(
    [...used].map((status) => [
      `Problem${status}`,
      {
        description: STATUS_CODES[status],
        content,
        ...(status === 429
          ? { headers: { ...retryAfter, ...limitHeaders } }
          : status === 503
            ? { headers: retryAfter }
            : {}),
      },
    ]),
  )
  return withoutUnused({
    ...document,
    paths: { ...paths, '/metrics': elsewhere['/metrics'] },
    components: { ...document.components, responses: problems },
  } as unknown as OpenApi)
}

/**
 * Every schema is there as it is read and as it is written; most are only one of both. What only
 * unused ones used is unused, too.
 */
function withoutUnused(document: OpenApi): OpenApi {
  const text = JSON.stringify(document)
  const all = Object.entries(document.components?.['schemas'] ?? {})
  const used = all.filter(([name]) => text.includes(`"#/components/schemas/${name}"`))
  return used.length === all.length
    ? document
    : withoutUnused({
        ...document,
        components: { ...document.components, schemas: Object.fromEntries(used) },
      })
}

/** A body that may be left out is said to be optional, and each has an example. */
function describeBody(body: Body, operationId = ''): void {
  const content = body.content['application/json']
  if (!content) return
  const given = content.schema?.['anyOf'] as Schema[] | undefined
  const [needed, ...more] = given?.filter((one) => one['type'] !== 'null') ?? []
  if (needed && given && more.length === 0 && given.length === 2) {
    body.required = false
    content.schema = needed
  }
  if (operationId in bodyExamples) content.example = bodyExamples[operationId]
}

/** On what a key asks and gets; problems are described once for all. */
function describeLimits({ responses }: Operation): void {
  for (const [status, response] of Object.entries(responses) as [
    string,
    { headers?: object; $ref?: string },
  ][]) {
    if (/^[23]/.test(status) && !response.$ref)
      response.headers = { ...response.headers, ...limitHeaders }
  }
}

export async function registerOpenApi(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Reelkeeper',
        version: '0.1.0',
        description,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: Object.entries(tags).map(([name, about]) => ({ name, description: about })),
      components: {
        securitySchemes: {
          apiKey: {
            type: 'http',
            scheme: 'bearer',
            description:
              'An API key rk_…, or a JWT of the configured issuer, with the scope that the operation names',
          },
          token: {
            type: 'apiKey',
            in: 'query',
            name: 'token',
            description: 'A stream token, where no header can be sent. API keys are refused here',
          },
        },
      },
      security: [{ apiKey: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) =>
      withProblems(jsonSchemaTransformObject(document) as unknown as OpenApi) as never,
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: {
      title: 'Reelkeeper API',
      // of the pages' own head there is only a search field for other documents
      css: [{ filename: 'theme.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    staticCSP: true,
    transformStaticCSP: (csp) => csp.replace('upgrade-insecure-requests;', ''),
  })
}
