/**
 * API keys and their users. A key's secret is given out once, when it is made; afterwards only its
 * hash is known.
 */
import { newApiKey, parseApiKey, type Scope } from './api-key.ts'
import type { Database } from './connect.ts'

export interface ApiKeyInfo {
  id: string
  name: string | null
  scopes: Scope[]
  createdAt: string
  revokedAt: string | null
}

type Row = {
  id: string
  name: string | null
  scopes: string[]
  createdAt: Date
  revokedAt: Date | null
}
const toInfo = ({ id, name, scopes, createdAt, revokedAt }: Row): ApiKeyInfo => ({
  id,
  name,
  scopes: scopes as Scope[],
  createdAt: createdAt.toISOString(),
  revokedAt: revokedAt?.toISOString() ?? null,
})

/** The secret is in here, and nowhere else. */
type NewApiKey = ApiKeyInfo & { apiKey: string }
type Writer = Pick<Database, 'apiKey'>

/** Revoked ones that are still listed. */
const mostRevoked = 100

const countKeys = (db: Writer, userId: string): Promise<number> =>
  db.apiKey.count({ where: { userId, revokedAt: null } })

async function insert(
  db: Writer,
  userId: string,
  scopes: Scope[],
  name: string | null,
): Promise<NewApiKey> {
  const apiKey = newApiKey()
  const { id, secretHash } = parseApiKey(apiKey)!
  const row = await db.apiKey.create({
    data: { id, userId, name, scopes, secretHash: Uint8Array.from(secretHash) },
  })
  return { ...toInfo(row), apiKey }
}

export class ApiKeys {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /**
   * Whose key it is and what it may do; null when there is none, it is revoked, or its user is
   * disabled.
   */
  async find(id: string): Promise<{
    userId: string
    secretHash: Uint8Array
    scopes: Scope[]
    name: string | null
  } | null> {
    const row = await this.#db.apiKey.findFirst({
      where: { id, revokedAt: null, user: { disabledAt: null } },
      select: { userId: true, secretHash: true, scopes: true, name: true },
    })
    return row && { ...row, scopes: row.scopes as Scope[] }
  }

  /** Those of these keys that are there and not revoked. */
  async validOf(ids: string[]): Promise<Set<string>> {
    const rows = await this.#db.$queryRaw<
      { id: string }[]
    >`SELECT id FROM "ApiKey" WHERE id = ANY(${ids}::text[]) AND "revokedAt" IS NULL`
    return new Set(rows.map((row) => row.id))
  }

  /** Those of these users that the operator has disabled. */
  async disabledOf(userIds: string[]): Promise<Set<string>> {
    const rows = await this.#db.$queryRaw<
      { id: string }[]
    >`SELECT id FROM "User" WHERE id = ANY(${userIds}::uuid[]) AND "disabledAt" IS NOT NULL`
    return new Set(rows.map((row) => row.id))
  }

  async create(userId: string, scopes: Scope[], name: string | null): Promise<NewApiKey> {
    return insert(this.#db, userId, scopes, name)
  }

  /** Null where the user has as many as it may. Those of one user are made one after another. */
  async createWithin(
    most: number,
    userId: string,
    scopes: Scope[],
    name: string | null,
  ): Promise<NewApiKey | null> {
    return this.#db.$transaction(async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('keys of ' || ${userId}, 0))`
      if ((await countKeys(tx, userId)) >= most) return null
      return insert(tx, userId, scopes, name)
    })
  }

  /** Those that are valid, and the last that were revoked: of these there may be any number. */
  async list(userId: string): Promise<ApiKeyInfo[]> {
    const [valid, revoked] = await Promise.all([
      this.#db.apiKey.findMany({ where: { userId, revokedAt: null } }),
      this.#db.apiKey.findMany({
        where: { userId, revokedAt: { not: null } },
        orderBy: { revokedAt: 'desc' },
        take: mostRevoked,
      }),
    ])
    return [...valid, ...revoked]
      .toSorted((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
      .map(toInfo)
  }

  /** Revokes for good; false when there is no such key (of that user, where one is given). */
  async revoke(id: string, userId?: string): Promise<boolean> {
    const changed =
      userId === undefined
        ? await this.#db
            .$executeRaw`UPDATE "ApiKey" SET "revokedAt" = coalesce("revokedAt", now()) WHERE id = ${id}`
        : await this.#db
            .$executeRaw`UPDATE "ApiKey" SET "revokedAt" = coalesce("revokedAt", now()) WHERE id = ${id} AND "userId" = ${userId}::uuid`
    return changed === 1
  }

  async createUser(name: string): Promise<{ id: string; name: string }> {
    return this.#db.user.create({ data: { name }, select: { id: true, name: true } })
  }

  async users(): Promise<{ id: string; name: string; disabledAt: Date | null }[]> {
    const select = { id: true, name: true, disabledAt: true }
    return this.#db.user.findMany({ select, orderBy: { id: 'asc' } })
  }

  /** False where there is no such user. */
  async renameUser(id: string, name: string): Promise<boolean> {
    return (await this.#db.user.updateMany({ where: { id }, data: { name } })).count === 1
  }

  /** Turns a user away, or lets it in again; false where there is no such user. */
  async setDisabled(id: string, isDisabled: boolean): Promise<boolean> {
    const changed = await this.#db
      .$executeRaw`UPDATE "User" SET "disabledAt" = CASE WHEN ${isDisabled} THEN coalesce("disabledAt", now()) END WHERE id = ${id}::uuid`
    return changed === 1
  }

  /** The user of an identity provider, made when first seen. */
  async ensureUser(id: string, name: string): Promise<void> {
    await this.#db
      .$executeRaw`INSERT INTO "User" (id, name) VALUES (${id}::uuid, ${name}) ON CONFLICT DO NOTHING`
  }

  /** The user that the operator linked an issuer's sub to. */
  async linkedUser(issuer: string, sub: string): Promise<string | null> {
    const row = await this.#db.userLink.findUnique({ where: { issuer_sub: { issuer, sub } } })
    return row?.userId ?? null
  }

  async linkUser(userId: string, issuer: string, sub: string): Promise<void> {
    await this.#db.userLink.upsert({
      where: { issuer_sub: { issuer, sub } },
      create: { issuer, sub, userId },
      update: { userId },
    })
  }

  /** Exceptions from the limits that the settings give; null for none. */
  async setLimits(userId: string, limits: Record<string, number> | null): Promise<boolean> {
    const value = limits === null ? null : JSON.stringify(limits)
    return (
      (await this.#db
        .$executeRaw`UPDATE "User" SET limits = ${value}::jsonb WHERE id = ${userId}::uuid`) === 1
    )
  }

  /** How many of its keys are valid. */
  async countOf(userId: string): Promise<number> {
    return countKeys(this.#db, userId)
  }

  async userExists(id: string): Promise<boolean> {
    return (await this.#db.user.count({ where: { id } })) === 1
  }
}
