/**
 * toapis' webhooks: `v1=<hex>[,v1=<by the previous key>]`, HMAC-SHA256 over `id.timestamp.body`, at
 * most five minutes old.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { firstText } from './edge/fields.ts'
import type { WebhookVerifier } from './declaration.ts'

const toleranceSeconds = 300

export const toapisWebhook: WebhookVerifier = {
  isSigned(secret, { header, body }, nowSeconds) {
    const timestamp = header('x-toapis-webhook-timestamp')
    const isFresh = Math.abs(nowSeconds - Number(timestamp)) <= toleranceSeconds
    if (!/^\d+$/.test(timestamp) || !isFresh) return false
    const expected = createHmac('sha256', secret)
      .update(`${header('x-toapis-webhook-id')}.${timestamp}.${body}`)
      .digest()
    return header('x-toapis-webhook-signature')
      .split(',')
      .some((part) => {
        const given = Buffer.from(part.trim().replace(/^v1=/, ''), 'hex')
        return given.length === expected.length && timingSafeEqual(given, expected)
      })
  },
  ownIdIn: (body) => firstText(body, ['data.client_business_id']),
  taskIdIn: (body) => firstText(body, ['data.task_id']),
}
