/**
 * What all submits share of an account at a provider: its circuit, its bucket of creates, and its
 * places for tasks at work. Each method is one statement but for `takeTask`.
 */
import type { Actor } from '#libs/scene-video/scene-video.ts'
import { inheritAccount, type AccountKey } from './account-ids.ts'
import type { Database } from './connect.ts'

/** Of an account to which creates do not just go. */
export interface CircuitState extends AccountKey {
  isOpen: boolean
  /** By an operator, until it is reset. */
  held: 'open' | 'closed' | null
  reason: string | null
  /** Until one create may be tried; null where nobody may. */
  untilTryMs: number | null
}

export interface CircuitRow extends AccountKey {
  host: string
  /** `half_open`: whoever comes next is tried. */
  state: 'closed' | 'open' | 'half_open'
  held: 'open' | 'closed' | null
  reason: string | null
  openings: number
  openedAt: string | null
  nextTryAt: string | null
  acts: { at: string; act: CircuitAct; reason: string | null; by: Actor }[]
}
export const circuitActs = ['open', 'close', 'reset'] as const
type CircuitAct = (typeof circuitActs)[number]

/** How many creates may be made in a minute, and how many of them at once. */
export interface CreateRate {
  perMinute: number
  burst: number
}

/** Milliseconds that a circuit stays open at first; twice as long after each try that may cost. */
export const firstOpenMs = 10_000
export const longestOpenMs = 60_000
/** Whoever tries an open circuit has it to himself for so long. */
export const triedMs = 30_000
const keptActs = 50

const microsecondsOf = ({ perMinute }: CreateRate) => Math.round(60_000_000 / perMinute)

export class ProviderAccounts {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /**
   * From now on it can be seen, and held by an operator. To be said again once a day while it is
   * used: what nobody uses is removed, see unused-accounts.ts. Whether it is new, and begins as it
   * was left under a former id.
   */
  async know(key: AccountKey, host: string, formerIds: readonly string[] = []): Promise<boolean> {
    const isInherited = formerIds.length > 0 && (await inheritAccount(this.#db, key, formerIds))
    await this.#db.$executeRaw`
      INSERT INTO "ProviderAccount" ("accountId", provider, host) VALUES (${key.accountId}, ${key.provider}, ${host})
      ON CONFLICT ("accountId", provider) DO UPDATE SET "usedAt" = now() WHERE "ProviderAccount"."usedAt" < now() - interval '1 hour'`
    return isInherited
  }

  /** Of those whose circuit is open or held; few. */
  circuits(): Promise<CircuitState[]> {
    return this.#db.$queryRaw<CircuitState[]>`
      SELECT "accountId", provider, "isOpen", held, reason, (extract(epoch FROM "nextTryAt" - now()) * 1000)::float8 AS "untilTryMs"
      FROM "ProviderAccount" WHERE "isOpen" OR held IS NOT NULL`
  }

  /** Its circuit opens. Nothing where it is open, or held. */
  async open({ accountId, provider }: AccountKey, reason: string): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "ProviderAccount" SET "isOpen" = true, reason = ${reason}, openings = 1, "openedAt" = now(), "nextTryAt" = now() + ${firstOpenMs}::int * interval '1 millisecond'
      WHERE "accountId" = ${accountId} AND provider = ${provider} AND held IS NULL AND NOT "isOpen"`
  }

  /** A create was tried in vain: `further` 1 doubles its time. Nothing where it is held. */
  async openAgain({ accountId, provider }: AccountKey, reason: string, further: 0 | 1) {
    await this.#db.$executeRaw`
      UPDATE "ProviderAccount" SET reason = ${reason}, openings = openings + ${further}::int,
        "nextTryAt" = now() + least(${longestOpenMs}::float8, ${firstOpenMs}::float8 * 2 ^ greatest(0, least(openings + ${further}::int - 1, 10))) * interval '1 millisecond'
      WHERE "accountId" = ${accountId} AND provider = ${provider} AND held IS NULL AND "isOpen"`
  }

  /** A create that was tried went well. */
  async close({ accountId, provider }: AccountKey): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "ProviderAccount" SET "isOpen" = false, reason = NULL, openings = 0, "nextTryAt" = NULL
      WHERE "accountId" = ${accountId} AND provider = ${provider} AND held IS NULL AND "isOpen"`
  }

  /** Whether the caller, and nobody else, may try one create now. */
  async takeTry({ accountId, provider }: AccountKey): Promise<boolean> {
    const taken = await this.#db.$executeRaw`
      UPDATE "ProviderAccount" SET "nextTryAt" = now() + ${triedMs}::int * interval '1 millisecond'
      WHERE "accountId" = ${accountId} AND provider = ${provider} AND held IS NULL AND "isOpen" AND "nextTryAt" <= now()`
    return taken > 0
  }

  /** It was not tried after all: somebody else may. */
  async giveTryBack({ accountId, provider }: AccountKey): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "ProviderAccount" SET "nextTryAt" = now() WHERE "accountId" = ${accountId} AND provider = ${provider} AND held IS NULL AND "isOpen"`
  }

  /** Up to `want` creates, and milliseconds until there is one more. */
  async takeCreates(
    { accountId, provider }: AccountKey,
    rate: CreateRate,
    want: number,
  ): Promise<{ taken: number; waitMs: number }> {
    const every = microsecondsOf(rate)
    const slack = every * rate.burst
    const [row] = await this.#db.$queryRaw<{ taken: number; waitMs: number }[]>`
      WITH taking AS (
        UPDATE "ProviderAccount" SET "createsFullAt" = greatest("createsFullAt", now()) + ${every}::float8 * interval '1 microsecond' *
          greatest(0, least(${want}::int, floor((${slack}::float8 - greatest(0, extract(epoch FROM "createsFullAt" - now()) * 1e6)) / ${every}::float8)))
        WHERE "accountId" = ${accountId} AND provider = ${provider}
        RETURNING greatest(old."createsFullAt", now()) AS before, new."createsFullAt" AS after
      )
      SELECT round(extract(epoch FROM after - before) * 1e6 / ${every}::float8)::int AS taken,
        (greatest(0, extract(epoch FROM after - now()) * 1e6 + ${every}::float8 - ${slack}::float8) / 1000)::float8 AS "waitMs" FROM taking`
    return row ?? { taken: 0, waitMs: 1_000 }
  }

  /** The provider refused one: nothing is left of its limit, for so long. */
  async emptyCreates({ accountId, provider }: AccountKey, rate: CreateRate, ms: number) {
    const fullInMs = Math.round(ms + (microsecondsOf(rate) * rate.burst) / 1_000)
    await this.#db.$executeRaw`
      UPDATE "ProviderAccount" SET "createsFullAt" = greatest("createsFullAt", now() + ${fullInMs}::float8 * interval '1 millisecond')
      WHERE "accountId" = ${accountId} AND provider = ${provider}`
  }

  /**
   * One of `most` places for tasks at work, for this attempt, unless it has one already. `holders`
   * where there is none: the videos that have them. What ended gives its place back.
   */
  takeTask(
    { accountId, provider }: AccountKey,
    most: number,
    { id, attempt }: { id: string; attempt: number },
  ): Promise<{ taken: boolean; holders: string[] }> {
    return this.#db.$transaction(async (tx) => {
      // who counts is alone with it
      await tx.$queryRaw`SELECT 1 FROM "ProviderAccount" WHERE "accountId" = ${accountId} AND provider = ${provider} FOR UPDATE`
      await tx.$executeRaw`
        DELETE FROM "ProviderTask" t WHERE t."accountId" = ${accountId} AND t.provider = ${provider} AND NOT EXISTS (
          SELECT FROM "SceneVideo" v WHERE v.id = t."videoId" AND v.attempt = t.attempt AND v.status IN ('pending', 'generating'))`
      const places = await tx.$queryRaw<{ videoId: string }[]>`
        SELECT "videoId" FROM "ProviderTask" WHERE "accountId" = ${accountId} AND provider = ${provider}`
      const holders = places.map(({ videoId }) => videoId)
      if (holders.includes(id)) return { taken: true, holders: [] }
      if (holders.length >= most) return { taken: false, holders }
      await tx.$executeRaw`
        INSERT INTO "ProviderTask" ("accountId", provider, "videoId", attempt) VALUES (${accountId}, ${provider}, ${id}::uuid, ${attempt}::int)`
      return { taken: true, holders: [] }
    })
  }

  /** Every account that creates went to, those that are open or held first; 200 at most. */
  async list(only: AccountKey | null = null): Promise<CircuitRow[]> {
    type Row = Omit<CircuitRow, 'openedAt' | 'nextTryAt'> & {
      openedAt: Date | null
      nextTryAt: Date | null
    }
    const rows = await this.#db.$queryRaw<Row[]>`
      SELECT "accountId", provider, host, held, reason, openings, "openedAt", "nextTryAt", acts,
        CASE WHEN NOT "isOpen" THEN 'closed' WHEN "nextTryAt" <= now() THEN 'half_open' ELSE 'open' END AS state
      FROM "ProviderAccount" WHERE ${only === null}::boolean OR "accountId" = ${only?.accountId ?? ''} AND provider = ${only?.provider ?? ''}
      ORDER BY ("isOpen" OR held IS NOT NULL) DESC, "openedAt" DESC NULLS LAST, "createdAt" DESC LIMIT 200`
    return rows.map((row) => ({
      ...row,
      openedAt: row.openedAt?.toISOString() ?? null,
      nextTryAt: row.nextTryAt?.toISOString() ?? null,
    }))
  }

  /**
   * By an operator: held open, held closed, or by itself again. What it then is; null where there
   * is no such account.
   */
  async act(
    key: AccountKey,
    { act, reason, by }: { act: CircuitAct; reason: string | null; by: Actor },
  ): Promise<CircuitRow | null> {
    const held = { open: 'open', close: 'closed', reset: null }[act]
    const isOpen = act === 'open'
    const entry = JSON.stringify({ act, reason, by })
    await this.#db.$executeRaw`
      UPDATE "ProviderAccount" SET held = ${held}, "isOpen" = ${isOpen}::boolean, reason = ${isOpen ? reason : null}, openings = 0, "nextTryAt" = NULL,
        "openedAt" = CASE WHEN ${isOpen}::boolean THEN now() ELSE "openedAt" END,
        acts = jsonb_path_query_array(jsonb_build_array(${entry}::jsonb || jsonb_build_object('at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))) || acts, ${`$[0 to ${keptActs - 1}]`}::jsonpath)
      WHERE "accountId" = ${key.accountId} AND provider = ${key.provider}`
    return (await this.list(key))[0] ?? null
  }
}
