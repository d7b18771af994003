import { createCipheriv, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  decrypt,
  encrypt,
  isCurrent,
  keyEncryptionKey,
  keyId,
  keySealingKey,
  seal,
  sealingKeyOf,
} from './secrets.ts'

const [a, b] = [randomBytes(32), randomBytes(32)]

/** As earlier versions wrote it. */
function v1(secret: string, key: Buffer): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const data = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return [
    'v1',
    ...[nonce, cipher.getAuthTag(), data].map((part) => part.toString('base64url')),
  ].join('.')
}

/** The same, with the key's id. */
const v2 = (secret: string, key: Buffer) => v1(secret, key).replace('v1.', `v2.${keyId(key)}.`)
const idOf = (key: Buffer) => keyId(sealingKeyOf(key))

describe('a keyring', () => {
  it('seals to its first key and opens with any', () => {
    const text = encrypt('sk-1', [a])
    expect(text).toContain(`v3.${idOf(a)}.`)
    expect(decrypt(text, [b, a])).toBe('sk-1')
    expect([isCurrent(text, [a, b]), isCurrent(text, [b, a])]).toEqual([true, false])
    expect(() => decrypt(text, [b])).toThrow(`no key-encryption key for the id ${idOf(a)}`)
    expect(encrypt('sk-1', [a])).not.toBe(text)
  })

  it('reads texts of earlier versions, and calls none of them current', () => {
    for (const text of [v1('sk-é', a), v2('sk-é', a)]) {
      expect(decrypt(text, [b, a])).toBe('sk-é')
      expect(() => decrypt(text, [b])).toThrow()
      expect(isCurrent(text, [a])).toBe(false)
    }
  })

  it('refuses what was altered', () => {
    const parts = encrypt('sk-1', [a]).split('.')
    for (const i of [2, 3, 4]) {
      const altered = parts.with(
        i,
        Buffer.from(Buffer.from(parts[i]!, 'base64url').map((byte) => byte ^ 1)).toString(
          'base64url',
        ),
      )
      expect(() => decrypt(altered.join('.'), [a])).toThrow()
    }
    expect(() => decrypt(parts.with(3, parts[3]!.slice(0, 6)).join('.'), [a])).toThrow()
    expect(() => decrypt(parts.with(2, 'AAAA').join('.'), [a])).toThrow('no public key')
    expect(() => decrypt('v9.x', [a])).toThrow('unknown cipher text version')
  })

  it('is read from the settings, the current key first', () => {
    expect(keyEncryptionKey.parse(`${a.toString('base64')}, ${b.toString('base64')}`)).toEqual([
      a,
      b,
    ])
    for (const bad of ['', 'x', a.subarray(1).toString('base64'), `${a.toString('base64')},x`])
      expect(keyEncryptionKey.safeParse(bad).success).toBe(false)
  })
})

describe('the public half of a key', () => {
  const sealingKey = keySealingKey.parse(sealingKeyOf(a).toString('base64'))

  it('seals what only the whole key opens', () => {
    const text = seal('sk-1', sealingKey)
    expect(decrypt(text, [b, a])).toBe('sk-1')
    expect(isCurrent(text, [a])).toBe(true)
    // whoever has it and the text has everything that the sealer was given
    expect(() => decrypt(text, [sealingKey])).toThrow()
    expect(sealingKey.equals(a)).toBe(false)
  })

  it('is refused where it is no such key', () => {
    for (const bad of ['', 'x', a.subarray(1).toString('base64')])
      expect(keySealingKey.safeParse(bad).success).toBe(false)
    expect(() => seal('sk-1', Buffer.alloc(32))).toThrow()
  })
})
