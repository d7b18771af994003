/** What several providers sign their webhooks by. Secrets and times are checked without leaking. */
import { createHmac, timingSafeEqual } from 'node:crypto'

/** Older or newer than this, a delivery may be a replay. */
const toleranceSeconds = 300

export const isFresh = (timestamp: string, nowSeconds: number): boolean =>
  /^\d+$/.test(timestamp) && Math.abs(nowSeconds - Number(timestamp)) <= toleranceSeconds

/** Whether the signature is the HMAC-SHA256 of the text. */
export function isHmac(
  signature: string,
  encoding: 'hex' | 'base64',
  { key, text }: { key: string | Buffer; text: string },
): boolean {
  const expected = createHmac('sha256', key).update(text).digest()
  const given = Buffer.from(signature, encoding)
  return given.length === expected.length && timingSafeEqual(given, expected)
}

/** Standard Webhooks: `v1,<base64>` by `id.timestamp.body`, several of them while a key changes. */
export function isStandardWebhook(
  secret: string,
  { header, body }: { header(name: string): string; body: string },
  nowSeconds: number,
): boolean {
  const [id, timestamp] = [header('webhook-id'), header('webhook-timestamp')]
  if (!isFresh(timestamp, nowSeconds)) return false
  const signed = {
    key: Buffer.from(secret.replace(/^whsec_/, ''), 'base64'),
    text: `${id}.${timestamp}.${body}`,
  }
  return header('webhook-signature')
    .split(' ')
    .some((part) => part.startsWith('v1,') && isHmac(part.slice(3), 'base64', signed))
}
