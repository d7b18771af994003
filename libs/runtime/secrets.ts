/** Provider keys at rest: AES-256-GCM under the key-encryption key. A cipher text is `v1.<nonce>.<tag>.<data>`, base64url. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { z } from 'zod'

/** 32 bytes, base64. */
export const keyEncryptionKey = z.string().transform((text, context) => {
  const key = Buffer.from(text, 'base64')
  if (key.length === 32) return key
  context.addIssue('must be 32 bytes in base64')
  return z.NEVER
})

export function encrypt(secret: string, key: Buffer): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const data = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return ['v1', nonce.toString('base64url'), cipher.getAuthTag().toString('base64url'), data.toString('base64url')].join('.')
}

/** @throws when the text was made under another key or was altered */
export function decrypt(text: string, key: Buffer): string {
  const [version, nonce = '', tag = '', data = ''] = text.split('.')
  if (version !== 'v1') throw new Error('unknown cipher text version')
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'))
  decipher.setAuthTag(Buffer.from(tag, 'base64url'))
  return Buffer.concat([decipher.update(Buffer.from(data, 'base64url')), decipher.final()]).toString('utf8')
}
