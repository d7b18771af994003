import { createHash, randomBytes } from 'node:crypto'

/** What a user's key may be given: `configure` sets provider accounts, `admin` makes keys. */
export const userScopes = ['read', 'write', 'configure', 'admin'] as const
/** `operator` reads and acts across users; only the CLI gives it. */
export const scopes = [...userScopes, 'operator'] as const
export type Scope = (typeof scopes)[number]

/**
 * Splits `rk_<id>_<secret>`; null when it is not of that form. Only the secret's SHA-256 is ever
 * stored.
 */
export function parseApiKey(apiKey: string): { id: string; secretHash: Buffer } | null {
  const match = /^rk_([0-9a-z]{1,32})_([\w-]{16,128})$/i.exec(apiKey)
  return match
    ? { id: match[1]!, secretHash: createHash('sha256').update(match[2]!).digest() }
    : null
}

export const newApiKey = (): string =>
  `rk_${randomBytes(6).toString('hex')}_${randomBytes(32).toString('base64url')}`
