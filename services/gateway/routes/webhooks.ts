/** A provider's webhook: verified, then only a hint to poll now, never the truth. */
import { z } from 'zod'
import { webhookOf } from '#libs/provider/registry.ts'
import { nudgeSubject } from '#libs/scene-video/messages.ts'
import type { App, Context } from '../context.ts'
import { notFound, Problem } from '../problem.ts'

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
        const webhook = webhookOf(provider)
        if (!webhook) throw notFound('There is no such provider.')
        const header = (name: string) => request.headers[name]?.toString() ?? ''
        const body = typeof request.body === 'string' ? request.body : ''
        const nowSeconds = (performance.timeOrigin + performance.now()) / 1000
        if (!webhookSecret || !webhook.isSigned(webhookSecret, header, body, nowSeconds))
          throw new Problem(401, 'bad_signature', 'The signature is not valid.')
        const video = z.uuid().safeParse(id ?? webhook.ownIdIn(parse(body))?.slice(0, 36))
        if (video.success)
          bus.publishCore(nudgeSubject(video.data), { id: video.data, reason: 'webhook' })
        return reply.code(204).send(null)
      })
    }
  })
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new Problem(400, 'invalid_request', 'The body is not a webhook of this provider.')
  }
}
