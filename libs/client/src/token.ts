/**
 * The token a page may read with. One that says how long it lasts is kept until shortly before its
 * end, for all requests and streams; any other is asked for each time. A refused one is forgotten.
 * No clock on the wall is asked: that of the page may be wrong.
 */
import { ReelkeeperError } from './errors.ts'

/** What `streamToken` answers, or the token's text alone. */
export type Token = string | { token: string; expiresInSeconds?: number | undefined }
export type TokenSource = Token | (() => Token | Promise<Token>)

/** So long before its end nothing is begun with it any more. */
const marginMs = 30_000

/** By the function it came from, which all copies of a client share. */
const kept = new WeakMap<object, { token: string; until: number }>()

const textOf = (token: Token) => (typeof token === 'string' ? token : token.token)

/** @throws ReelkeeperError `no_token` where there is none to be had */
export async function tokenOf(source: TokenSource | undefined): Promise<string | undefined> {
  if (typeof source !== 'function') return source === undefined ? undefined : textOf(source)
  const before = kept.get(source)
  if (before && performance.now() < before.until) return before.token
  const asked = performance.now()
  try {
    const token = await source()
    const seconds = typeof token === 'string' ? 0 : (token.expiresInSeconds ?? 0)
    kept.set(source, { token: textOf(token), until: asked + seconds * 1_000 - marginMs })
    return textOf(token)
  } catch (err) {
    if (err instanceof ReelkeeperError) throw err
    throw new ReelkeeperError('no_token', 0, 'There is no token to be had now.', { cause: err })
  }
}

export function forgetToken(source: TokenSource | undefined): void {
  if (typeof source === 'function') kept.delete(source)
}
