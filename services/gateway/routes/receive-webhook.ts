/**
 * A provider's webhook: verified by its signature, or by the secret in the path of a callback that
 * we gave it; then a hint to poll now, never the truth. Which video it means is told by what is
 * signed, or else by the path. One that was caught and is sent again says nothing. A callback is
 * taken (204) only once submit has kept which task it names: else 503, and its provider tells
 * again. A challenge is answered with itself, whoever poses it.
 */
import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Bus } from '#libs/bus/bus.ts'
import { readCallbackPath } from '#libs/provider/callbacks.ts'
import type { Delivery, WebhookVerifier } from '#libs/provider/declaration.ts'
import { isKeepable } from '#libs/provider/edge/fields.ts'
import { webhookOf } from '#libs/provider/registry.ts'
import { systemClock, unixMs } from '#libs/runtime/clock.ts'
import {
  callbackReplySchema,
  callbackSubject,
  longestCalledId,
  type Callback,
} from '#libs/scene-video/callback.ts'
import { nudgeSubject } from '#libs/scene-video/messages.ts'
import type { Route } from '../context.ts'
import { notFound, Problem } from '../problem.ts'

/** Longer than any provider's signature counts. */
const rememberMs = 15 * 60_000
const mostRemembered = 50_000
const keepMs = 5_000
/** Asked about at once, of those that only their path may prove: anybody can send some. */
const mostUnproven = 50

export const receiveWebhook: Route = (app, { bus, webhookSecrets }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  const seen = new Seen()
  let unproven = 0
  for (const path of ['/webhooks/:provider', '/webhooks/:provider/:id']) {
    const schema = {
      operationId: path.endsWith(':id') ? 'webhookForVideo' : 'webhook',
      tags: ['webhooks'],
      summary: 'A provider’s webhook, signed: a hint to poll now',
      'x-public': true,
      'x-problems': [401, 404, 503],
      params: z.object({
        provider: z.string(),
        ...(path.endsWith(':id') ? { id: z.string().max(300) } : {}),
      }),
      response: {
        200: z.record(z.string(), z.string()).describe('A challenge, as it came'),
        204: z.null().describe('Taken note of'),
      },
    }
    app.post(path, { schema }, async (request, reply) => {
      const { provider, id = '' } = request.params as { provider: string; id?: string }
      const webhook = webhookOf(provider)
      if (!webhook) throw notFound('There is no such provider.')
      const delivery = deliveryOf(request)
      const challenge = webhook.challenge && challengeIn(delivery.body, webhook.challenge)
      if (challenge) return reply.send(challenge)
      const isSigned = verify(webhook, webhookSecrets.get(provider), delivery)
      const at = readCallbackPath(id)
      // rule: a webhook is proven by its signature, or by the secret in its path
      if (!isSigned && (at === null || hasToSign(webhook, webhookSecrets.get(provider))))
        throw new Problem(401, 'bad_signature', 'The signature is not valid.')
      const body = parse(delivery.body)
      // rule: what is not signed hints at the video of its path alone
      const told = isSigned ? webhook.ownIdIn(body) : null
      const video = z.uuid().safeParse((told ?? id).slice(0, 36))
      const key = `${provider}\n${isSigned ? '' : id}\n${delivery.body}`
      if (!video.success || !seen.isNew(key)) return reply.code(204).send(null)
      const hint = { id: video.data, reason: 'webhook' }
      if (isSigned) bus.publishCore(nudgeSubject(hint.id), hint)
      if (at) {
        const { videoId, attempt, secret } = at
        const callback = { provider, id: videoId, attempt, secret, taskId: taskIn(webhook, body) }
        if (!isSigned && unproven >= mostUnproven) throw notKept()
        unproven += isSigned ? 0 : 1
        const isOurs = await keep(bus, callback)
          .catch((err: unknown) => {
            seen.forget(key)
            throw err
          })
          .finally(() => (unproven -= isSigned ? 0 : 1))
        if (!isOurs && !isSigned)
          throw new Problem(401, 'bad_signature', 'The path is not one of ours.')
        if (!isSigned) bus.publishCore(nudgeSubject(hint.id), hint)
      }
      return reply.code(204).send(null)
    })
  }
}

/** Where a secret is set, a signature is asked for at every path. */
const hasToSign = (webhook: WebhookVerifier, secret: string | undefined): boolean =>
  webhook.isSigned !== undefined && secret !== undefined

const verify = (webhook: WebhookVerifier, secret: string | undefined, delivery: Delivery) =>
  secret !== undefined && webhook.isSigned?.(secret, delivery, unixMs() / 1000) === true

const deliveryOf = ({ method, url, headers, body }: FastifyRequest): Delivery => ({
  method,
  path: url,
  header: (name) => headers[name]?.toString() ?? '',
  body: typeof body === 'string' ? body : '',
})

/** Whether the path is that of its attempt; what it says is then kept. */
async function keep(bus: Bus, callback: Callback): Promise<boolean> {
  try {
    const reply = await bus.request(callbackSubject, callback, keepMs)
    return callbackReplySchema.parse(reply).isOurs
  } catch {
    throw notKept()
  }
}

/** The task that it names; null where it names none that can be kept. */
function taskIn(webhook: WebhookVerifier, body: unknown): string | null {
  const taskId = webhook.taskIdIn(body)
  return taskId !== null && taskId.length <= longestCalledId && isKeepable(taskId) ? taskId : null
}

const notKept = () => new Problem(503, 'not_ready', 'It cannot be kept just now; tell it again.')

/** What was delivered lately, by its hash. */
class Seen {
  readonly #until = new Map<string, number>()

  isNew(text: string): boolean {
    const now = systemClock.now()
    for (const [key, until] of this.#until) {
      if (until > now && this.#until.size <= mostRemembered) break
      this.#until.delete(key)
    }
    const key = hashOf(text)
    if (this.#until.has(key)) return false
    this.#until.set(key, now + rememberMs)
    return true
  }

  forget(text: string): void {
    this.#until.delete(hashOf(text))
  }
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('base64')

/** A body that is nothing but a challenge; it says nothing of a video. */
function challengeIn(body: string, field: string): Record<string, string> | null {
  const known = z.strictObject({ [field]: z.string().max(1_000) })
  return known.safeParse(parse(body)).data ?? null
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new Problem(400, 'invalid_request', 'The body is not a webhook of this provider.')
  }
}
