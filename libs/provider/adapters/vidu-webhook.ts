/**
 * Vidu signs method, path and headers of a delivery, not its body: whoever has one delivery can say
 * anything with it until it is too old. It stays a hint to ask.
 */
import type { WebhookVerifier } from '../declaration.ts'
import { at, firstText } from '../edge/fields.ts'
import { isFresh, isHmac } from './signatures.ts'

export const viduWebhook: WebhookVerifier = {
  isSigned(secret, { method, path, header }, nowSeconds) {
    const date = header('date')
    const sent = Math.floor(Date.parse(date) / 1_000)
    if (!isFresh(String(sent), nowSeconds)) return false
    if (header('x-hmac-algorithm').toLowerCase() !== 'hmac-sha256') return false
    const [where = '', query = ''] = path.split('?')
    const signed = header('x-hmac-signed-headers')
      .split(';')
      .filter((name) => name !== '')
      .map((name) => `${name}:${header(name)}\n`)
    const lines = [method.toUpperCase(), where, query, header('x-hmac-access-key'), date]
    const text = `${lines.join('\n')}\n${signed.join('')}`
    return isHmac(header('x-hmac-signature'), 'base64', { key: secret, text })
  },
  ownIdIn: (body) => {
    const [payload] = at(body, 'payload')
    return typeof payload === 'string' && payload !== '' ? payload : null
  },
  taskIdIn: (body) => firstText(body, ['id', 'task_id']),
}
