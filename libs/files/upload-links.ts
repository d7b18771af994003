/**
 * Addresses under which a provider fetches an upload: signed by the upload's own secret, and good
 * until an instant in them. Pure.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

const sign = (secret: Uint8Array, id: string, expires: string): Buffer =>
  createHmac('sha256', secret).update(`${id}\n${expires}`).digest()

/** `publicUrl` is the gateway's, as the provider reaches it; `expires` is Unix time in seconds. */
export function uploadLink(
  publicUrl: string,
  { id, linkSecret }: { id: string; linkSecret: Uint8Array },
  expires: number,
): string {
  const signature = sign(linkSecret, id, String(expires)).toString('base64url')
  return `${publicUrl.replace(/\/+$/, '')}/uploads/${id}?expires=${expires}&signature=${signature}`
}

/** False also where it is past. */
export function isSigned(
  { id, linkSecret }: { id: string; linkSecret: Uint8Array },
  given: { expires: string; signature: string },
  nowSeconds: number,
): boolean {
  const expected = sign(linkSecret, id, given.expires)
  const signature = Buffer.from(given.signature, 'base64url')
  return (
    signature.length === expected.length &&
    timingSafeEqual(signature, expected) &&
    Number(given.expires) > nowSeconds
  )
}
