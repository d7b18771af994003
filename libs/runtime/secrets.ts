/**
 * Provider keys at rest: AES-256-GCM under a key-encryption key. A cipher text is `v2.<key
 * id>.<nonce>.<tag>.<data>`, base64url; the key's id is the beginning of its own SHA-256, so it
 * cannot be mislabelled. `v1` texts carry no id and are tried with every key.
 *
 * A keyring's first key encrypts, the others only decrypt. To rotate without downtime: add the new
 * key behind the present one everywhere, then put it in front, re-encrypt, then take the former one
 * away.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { z } from 'zod'

export type Keyring = readonly [Buffer, ...Buffer[]]

/** 32 bytes in base64; behind it, after commas, former keys that may still be needed to decrypt. */
export const keyEncryptionKey = z.string().transform((text, context): Keyring => {
  const [current, ...former] = text.split(',').map((part) => Buffer.from(part.trim(), 'base64'))
  if (current && [current, ...former].every((key) => key.length === 32)) return [current, ...former]
  context.addIssue('must be 32 bytes in base64; former keys may follow after commas')
  return z.NEVER
})

export const keyId = (key: Buffer): string =>
  createHash('sha256').update(key).digest('hex').slice(0, 8)

export function encrypt(secret: string, [key]: Keyring): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const data = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return [
    'v2',
    keyId(key),
    ...[nonce, cipher.getAuthTag(), data].map((part) => part.toString('base64url')),
  ].join('.')
}

/** @throws when no key of the ring made the text, or it was altered */
export function decrypt(text: string, keys: Keyring): string {
  const [version, ...parts] = text.split('.')
  if (version === 'v1') return firstThatFits(keys, (key) => open(parts, key))
  if (version !== 'v2') throw new Error('unknown cipher text version')
  const key = keys.find((one) => keyId(one) === parts[0])
  if (!key) throw new Error(`no key-encryption key with the id ${parts[0]?.slice(0, 8)}`)
  return open(parts.slice(1), key)
}

/** Whether the text is under the ring's first key. */
export const isCurrent = (text: string, [key]: Keyring): boolean =>
  text.startsWith(`v2.${keyId(key)}.`)

/** A key for another purpose, the same in every process that has this key-encryption key. */
export const deriveKey = (key: Buffer, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', key, '', purpose, 32))

function open([nonce = '', tag = '', data = '']: string[], key: Buffer): string {
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'), {
    authTagLength: 16,
  })
  decipher.setAuthTag(Buffer.from(tag, 'base64url'))
  return Buffer.concat([
    decipher.update(Buffer.from(data, 'base64url')),
    decipher.final(),
  ]).toString('utf8')
}

function firstThatFits<T>(keys: Keyring, attempt: (key: Buffer) => T): T {
  let last: unknown
  for (const key of keys) {
    try {
      return attempt(key)
    } catch (err) {
      last = err
    }
  }
  throw last
}
