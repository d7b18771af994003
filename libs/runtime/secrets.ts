/**
 * Provider keys at rest. Each is sealed to a public key (X25519, HKDF-SHA256, AES-256-GCM), so that
 * whoever stores one cannot read it back: `v3.<key id>.<ephemeral public key>.<tag>.<data>`,
 * base64url. The private key is derived from the key-encryption key; the id is the beginning of the
 * public key's SHA-256, so it cannot be mislabelled. `v2` and `v1` are texts of earlier versions,
 * under the key-encryption key itself.
 *
 * To a keyring's first key is sealed, the others only open. To rotate without downtime: add the new
 * key behind the present one everywhere, then put it in front, re-encrypt, then take the former one
 * away.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { z } from 'zod'

export type Keyring = readonly [Buffer, ...Buffer[]]

const is32Bytes = (key: Buffer) => key.length === 32

/** 32 bytes in base64; behind it, after commas, former keys that may still be needed to open. */
export const keyEncryptionKey = z.string().transform((text, context): Keyring => {
  const [current, ...former] = text.split(',').map((part) => Buffer.from(part.trim(), 'base64'))
  if (current && [current, ...former].every(is32Bytes)) return [current, ...former]
  context.addIssue('must be 32 bytes in base64; former keys may follow after commas')
  return z.NEVER
})

/** The public half of a key-encryption key: 32 bytes in base64. */
export const keySealingKey = z.string().transform((text, context): Buffer => {
  const key = Buffer.from(text.trim(), 'base64')
  if (is32Bytes(key)) return key
  context.addIssue('must be 32 bytes in base64, as `keys sealing-key` prints them')
  return z.NEVER
})

export const keyId = (key: Buffer): string =>
  createHash('sha256').update(key).digest('hex').slice(0, 8)

/** What DER puts in front of the 32 bytes of an X25519 key. */
const [privateHead, publicHead] = ['302e020100300506032b656e04220420', '302a300506032b656e032100']
const publicKeyOf = (raw: Buffer): KeyObject =>
  createPublicKey({
    key: Buffer.concat([Buffer.from(publicHead, 'hex'), raw]),
    format: 'der',
    type: 'spki',
  })
const rawOf = (key: KeyObject): Buffer =>
  key.export({ format: 'der', type: 'spki' }).subarray(publicHead.length / 2)

interface Pair {
  privateKey: KeyObject
  sealingKey: Buffer
}
const pairs = new WeakMap<Buffer, Pair>()
function pairOf(key: Buffer): Pair {
  const known = pairs.get(key)
  if (known) return known
  const der = [Buffer.from(privateHead, 'hex'), deriveKey(key, 'reelkeeper provider keys')]
  const privateKey = createPrivateKey({ key: Buffer.concat(der), format: 'der', type: 'pkcs8' })
  const pair = { privateKey, sealingKey: rawOf(createPublicKey(privateKey)) }
  pairs.set(key, pair)
  return pair
}

/** The public half of a key-encryption key, for who may seal and not open. */
export const sealingKeyOf = (key: Buffer): Buffer => pairOf(key).sealingKey

/** A key for one text alone, hence no nonce: both ends get it from the other's public key. */
function keyOfOne(own: KeyObject, other: KeyObject, ephemeral: Buffer, sealingKey: Buffer): Buffer {
  const shared = diffieHellman({ privateKey: own, publicKey: other })
  const salt = Buffer.concat([ephemeral, sealingKey])
  return Buffer.from(hkdfSync('sha256', shared, salt, 'reelkeeper sealed v3', 32))
}
const noNonce = Buffer.alloc(12)

/** For who has the key-encryption key of that public half, and nobody else. */
export function seal(secret: string, sealingKey: Buffer): string {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  const ephemeral = rawOf(publicKey)
  const key = keyOfOne(privateKey, publicKeyOf(sealingKey), ephemeral, sealingKey)
  const cipher = createCipheriv('aes-256-gcm', key, noNonce)
  const data = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  const parts = [ephemeral, cipher.getAuthTag(), data].map((part) => part.toString('base64url'))
  return ['v3', keyId(sealingKey), ...parts].join('.')
}

/** Seals to the ring's first key. */
export const encrypt = (secret: string, [key]: Keyring): string => seal(secret, sealingKeyOf(key))

/** @throws when no key of the ring opens the text, or it was altered */
export function decrypt(text: string, keys: Keyring): string {
  const [version, ...parts] = text.split('.')
  if (version === 'v1') return firstThatFits(keys, (key) => open(parts, key))
  const idOf = { v2: keyId, v3: (key: Buffer) => keyId(sealingKeyOf(key)) }[version ?? '']
  if (!idOf) throw new Error('unknown cipher text version')
  const key = keys.find((one) => idOf(one) === parts[0])
  if (!key) throw new Error(`no key-encryption key for the id ${parts[0]?.slice(0, 8)}`)
  return version === 'v2' ? open(parts.slice(1), key) : unseal(parts.slice(1), key)
}

/** Whether the text is sealed to the ring's first key. */
export const isCurrent = (text: string, [key]: Keyring): boolean =>
  text.startsWith(`v3.${keyId(sealingKeyOf(key))}.`)

/** The same secret, sealed to the ring's first key. @throws like `decrypt` */
export const reseal = (text: string, keys: Keyring): string =>
  isCurrent(text, keys) ? text : encrypt(decrypt(text, keys), keys)

/** A key for another purpose, the same in every process that has this key-encryption key. */
export function deriveKey(key: Buffer, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, '', purpose, 32))
}

function unseal([ephemeral = '', tag = '', data = '']: string[], key: Buffer): string {
  const { privateKey, sealingKey } = pairOf(key)
  const other = Buffer.from(ephemeral, 'base64url')
  if (!is32Bytes(other)) throw new Error('no public key in the cipher text')
  const nonce = noNonce.toString('base64url')
  return open([nonce, tag, data], keyOfOne(privateKey, publicKeyOf(other), other, sealingKey))
}

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
