import { createCipheriv, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { decrypt, encrypt, isCurrent, keyEncryptionKey, keyId } from './secrets.ts'

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

describe('a keyring', () => {
  it('encrypts with its first key and decrypts with any', () => {
    const text = encrypt('sk-1', [a])
    expect(text).toContain(`v2.${keyId(a)}.`)
    expect(decrypt(text, [b, a])).toBe('sk-1')
    expect([isCurrent(text, [a, b]), isCurrent(text, [b, a])]).toEqual([true, false])
    expect(() => decrypt(text, [b])).toThrow(`no key-encryption key with the id ${keyId(a)}`)
  })

  it('reads texts without a key id', () => {
    expect(decrypt(v1('sk-é', a), [b, a])).toBe('sk-é')
    expect(() => decrypt(v1('sk', a), [b])).toThrow()
    expect(isCurrent(v1('sk', a), [a])).toBe(false)
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
    expect(() => decrypt('v3.x', [a])).toThrow('unknown cipher text version')
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
