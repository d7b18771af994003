/**
 * fal signs with Ed25519 by the keys it publishes at `https://rest.fal.ai/.well-known/jwks.json`;
 * that document is what its secret is set to.
 */
import { createHash, createPublicKey, verify } from 'node:crypto'
import type { WebhookVerifier } from '../declaration.ts'
import { at, firstText, parseJson } from '../edge/fields.ts'
import { isFresh } from './signatures.ts'

export const falWebhook: WebhookVerifier = {
  isSigned(keySet, { header, body }, nowSeconds) {
    const [id, user, timestamp, signature] = [
      'request-id',
      'user-id',
      'timestamp',
      'signature',
    ].map((name) => header(`x-fal-webhook-${name}`)) as [string, string, string, string]
    if (!isFresh(timestamp, nowSeconds)) return false
    const digest = createHash('sha256').update(body).digest('hex')
    const message = Buffer.from([id, user, timestamp, digest].join('\n'))
    return at(parseJson(keySet), 'keys[].x').some((x) => {
      try {
        const key = { kty: 'OKP', crv: 'Ed25519', x: String(x) }
        const publicKey = createPublicKey({ key, format: 'jwk' })
        return verify(null, message, publicKey, Buffer.from(signature, 'hex'))
      } catch {
        return false
      }
    })
  },
  ownIdIn: () => null,
  taskIdIn: (body) => firstText(body, ['request_id']),
}
