/** A provider's webhook: verified, then only a hint to poll now, never the truth. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { nudgeSubject } from '#libs/scene-video/messages.ts'
import type { App, Context } from '../context.ts'
import { notFound, Problem } from '../problem.ts'

const toleranceSeconds = 300
const bodySchema = z.object({
  data: z.object({ client_business_id: z.string().nullish() }).optional(),
})

/**
 * toapis: `v1=<hex>[,v1=<previous key>]`, HMAC-SHA256 over `id.timestamp.body`. `nowSeconds` is
 * Unix time.
 */
export function isSigned(
  secret: string,
  headers: { id: string; timestamp: string; signature: string },
  body: string,
  nowSeconds: number,
): boolean {
  if (
    !/^\d+$/.test(headers.timestamp) ||
    Math.abs(nowSeconds - Number(headers.timestamp)) > toleranceSeconds
  )
    return false
  const expected = createHmac('sha256', secret)
    .update(`${headers.id}.${headers.timestamp}.${body}`)
    .digest()
  return headers.signature.split(',').some((part) => {
    const given = Buffer.from(part.trim().replace(/^v1=/, ''), 'hex')
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

export function webhookRoutes(app: App, { bus, webhookSecret }: Context): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) =>
      done(null, body),
    )
    for (const path of ['/webhooks/:provider', '/webhooks/:provider/:id']) {
      const schema = {
        operationId: path.endsWith(':id') ? 'webhookForVideo' : 'webhook',
        tags: ['webhooks'],
        summary: 'A provider’s webhook, signed: a hint to poll now',
        'x-public': true,
        'x-problems': [401, 404],
        params: z.object({
          provider: z.string(),
          ...(path.endsWith(':id') ? { id: z.string() } : {}),
        }),
        response: { 204: z.null().describe('Taken note of') },
      }
      scope.post(path, { schema }, async (request, reply) => {
        const { provider, id } = request.params as { provider: string; id?: string }
        if (provider !== 'toapis') throw notFound('There is no such provider.')
        const header = (name: string) => request.headers[name]?.toString() ?? ''
        const body = typeof request.body === 'string' ? request.body : ''
        const signed = {
          id: header('x-toapis-webhook-id'),
          timestamp: header('x-toapis-webhook-timestamp'),
          signature: header('x-toapis-webhook-signature'),
        }
        const nowSeconds = (performance.timeOrigin + performance.now()) / 1000
        if (!webhookSecret || !isSigned(webhookSecret, signed, body, nowSeconds))
          throw new Problem(401, 'bad_signature', 'The signature is not valid.')
        const video = z.uuid().safeParse(id ?? ownIdIn(body)?.slice(0, 36))
        if (video.success)
          bus.publishCore(nudgeSubject(video.data), { id: video.data, reason: 'webhook' })
        return reply.code(204).send(null)
      })
    }
  })
}

function ownIdIn(body: string): string | null {
  try {
    return bodySchema.parse(JSON.parse(body)).data?.client_business_id ?? null
  } catch {
    throw new Problem(400, 'invalid_request', 'The body is not a webhook of this provider.')
  }
}
