/**
 * Idempotency-Keys of requests that make or change many things, each of which has a key of its own.
 * The request's key holds it to what was asked for, and tells when: what has come about since then
 * was not meant by it.
 */
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { claimIdempotencyKey } from './idempotency.ts'

export class RequestKeys {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** @throws Refused for another body, or while somebody else claims it */
  claim(
    userId: string,
    claimed: IdempotencyKey,
    about: string,
  ): Promise<{ isFirst: boolean; at: Date }> {
    const { route, key } = claimed
    return this.#db.$transaction(async (tx) => {
      const isFirst = (await claimIdempotencyKey(tx, userId, claimed, about)) === null
      const { createdAt } = await tx.idempotencyKey.findUniqueOrThrow({
        where: { userId_route_key: { userId, route, key } },
      })
      return { isFirst, at: createdAt }
    })
  }

  /** As if it had not been claimed. */
  async release(userId: string, { route, key }: IdempotencyKey): Promise<void> {
    await this.#db.idempotencyKey.deleteMany({ where: { userId, route, key } })
  }
}
