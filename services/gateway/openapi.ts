/** OpenAPI 3.1 out of the schemas that validate, at /openapi.json, and as pages at /docs. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { STATUS_CODES } from 'node:http'
import type { App } from './app.ts'

/** Which problems a route answers beyond those that all like it do: `schema['x-problems']`. */
declare module 'fastify' {
  interface FastifySchema {
    'x-problems'?: readonly number[]
    'x-public'?: boolean
  }
}

const always = [400, 408, 431, 500, 503]
const ofKeys = [401, 403, 429]
const ofBodies = [413, 415]
const description = `Keeps AI video generation tasks alive: submitted once, paid once, polled until they end.

Errors are \`application/problem+json\`; programs decide by \`code\`. 503 and 429 carry \`Retry-After\`. Every POST below \`/api\` takes an \`Idempotency-Key\`
where it says so: sent again within 24 h with the same body, it answers with the same object as it is now.`

interface Operation {
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
  for (const [method, operation] of Object.values(document.paths).flatMap((path) => Object.entries(path))) {
    const common = operation['x-public'] ? always : [...always, ...ofKeys]
    for (const status of [...common, ...(method === 'get' ? [] : ofBodies), ...(operation['x-problems'] ?? [])]) {
      used.add(status)
      operation.responses[status] ??= { $ref: `#/components/responses/Problem${status}` }
    }
    if (operation['x-public']) operation.security = []
    delete operation['x-problems']
    delete operation['x-public']
  }
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
  const retryAfter = { 'Retry-After': { description: 'Seconds to wait before asking again', schema: { type: 'integer', minimum: 0 } } }
  const problems = Object.fromEntries([...used].map((status) => [`Problem${status}`, { description: STATUS_CODES[status], content, ...(status === 429 || status === 503 ? { headers: retryAfter } : {}) }]))
  return { ...document, components: { ...document.components, responses: problems } } as OpenApi
}

export async function registerOpenApi(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Reelkeeper', version: '0.1.0', description, license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' } },
      servers: [{ url: '/' }],
      tags: ['videos', 'live', 'projects', 'configuration', 'keys', 'webhooks', 'service'].map((name) => ({ name })),
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'bearer', description: 'An API key rk_…, or a JWT of the configured issuer' },
          token: { type: 'apiKey', in: 'query', name: 'token', description: 'On streams and files: a stream token, or an API key' },
        },
      },
      security: [{ apiKey: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withProblems(jsonSchemaTransformObject(document) as unknown as OpenApi) as never,
  })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, transformStaticCSP: (csp) => csp.replace('upgrade-insecure-requests;', '') })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
}
