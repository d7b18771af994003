/**
 * A provider's webhook: verified, then only a hint to poll now, never the truth. Which video it
 * means is told by what is signed; the path tells it only where the body has no id of ours. One
 * that was caught and is sent again says nothing.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { webhookOf } from '#libs/provider/registry.ts'
import { systemClock, unixMs } from '#libs/runtime/clock.ts'
import { nudgeSubject } from '#libs/scene-video/messages.ts'
import type { Route } from '../context.ts'
import { notFound, Problem } from '../problem.ts'

/** Longer than any provider's signature counts. */
const rememberMs = 15 * 60_000
const mostRemembered = 50_000

export const receiveWebhook: Route = (app, { bus, webhookSecrets }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  const seen = new Map<string, number>()
  const isNew = (provider: string, body: string) => {
    const now = systemClock.now()
    for (const [key, until] of seen) {
      if (until > now && seen.size <= mostRemembered) break
      seen.delete(key)
    }
    const key = createHash('sha256').update(`${provider}\n${body}`).digest('base64')
    if (seen.has(key)) return false
    seen.set(key, now + rememberMs)
    return true
  }
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
    app.post(path, { schema }, async (request, reply) => {
      const { provider, id } = request.params as { provider: string; id?: string }
      const webhook = webhookOf(provider)
      if (!webhook) throw notFound('There is no such provider.')
      const header = (name: string) => request.headers[name]?.toString() ?? ''
      const body = typeof request.body === 'string' ? request.body : ''
      const delivery = { method: request.method, path: request.url, header, body }
      const nowSeconds = unixMs() / 1000
      const secret = webhookSecrets.get(provider)
      if (!secret || !webhook.isSigned(secret, delivery, nowSeconds))
        throw new Problem(401, 'bad_signature', 'The signature is not valid.')
      const video = z.uuid().safeParse((webhook.ownIdIn(parse(body)) ?? id)?.slice(0, 36))
      if (video.success && isNew(provider, body))
        bus.publishCore(nudgeSubject(video.data), { id: video.data, reason: 'webhook' })
      return reply.code(204).send(null)
    })
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new Problem(400, 'invalid_request', 'The body is not a webhook of this provider.')
  }
}
