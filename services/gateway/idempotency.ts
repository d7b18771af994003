import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import { waitingForKey } from './commands.ts'
import type { Context } from './context.ts'
import { invalid } from './problem.ts'

/**
 * The Idempotency-Key header, quoted or bare, with a hash of what is asked; null without one.
 * @throws Problem 400
 */
export function idempotencyKeyOf(request: FastifyRequest, route: string): IdempotencyKey | null {
  const key = keyIn(request.headers['idempotency-key'])
  return key === null
    ? null
    : { key, route, bodyHash: hashOf([request.params, request.body ?? {}]) }
}

function keyIn(header: string | string[] | undefined): string | null {
  if (header === undefined) return null
  const text = String(header).trim()
  const bare = /^"(.*)"$/.exec(text)?.[1] ?? text
  if (bare.length >= 1 && bare.length <= 255) return bare
  throw invalid('', 'the header Idempotency-Key must have 1 to 255 characters')
}

/** The same for the same content, whatever the order of its fields. */
function hashOf(value: unknown): string {
  const sorted = (_key: string, v: unknown) =>
    v && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v
  return createHash('sha256').update(JSON.stringify(value, sorted)).digest('hex')
}

/**
 * Prepares a request for many under its key: `prepare` is told what came too late to be meant.
 * Refused then, the key is free again. @throws Refused for another body
 */
export async function claimed<T>(
  { requestKeys }: Context,
  userId: string,
  key: IdempotencyKey | null,
  about: string,
  prepare: (after: Date | null) => Promise<T>,
): Promise<T> {
  if (!key) return prepare(null)
  const { at, isFirst } = await waitingForKey(() => requestKeys.claim(userId, key, about))
  try {
    return await prepare(at)
  } catch (err) {
    if (isFirst) await requestKeys.release(userId, key)
    throw err
  }
}
