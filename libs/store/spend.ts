/**
 * What each user has spent in this month and on this day (UTC), in millionths of the currency. It
 * is one row a user and month, so a budget holds exactly, over all gateways: whoever would exceed
 * it changes nothing.
 */
import type { Database } from './connect.ts'

/** Null: without bound. An operator's exception for the user goes before what is given here. */
export interface Budgets {
  dayMicros: number | null
  monthMicros: number | null
}
export interface Spent {
  dayMicros: number
  monthMicros: number
  /** As they apply to this user. */
  budgets: Budgets
}
/** Where a charge was booked, to take it back there. */
export interface Booking {
  day: string
  month: string
}

const numberOrNull = (value: unknown) => (value === null ? null : Number(value))

export class SpendStore {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Null where it would exceed a budget. */
  async charge(userId: string, micros: number, budgets: Budgets): Promise<Booking | null> {
    const [booked] = await this.#db.$queryRaw<Booking[]>`
      WITH today AS (
        SELECT (now() AT TIME ZONE 'UTC')::date AS day, date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month,
          coalesce((u.limits->>'spendPerDay')::numeric * 1000000, ${budgets.dayMicros}::numeric, 'Infinity') AS "mostDay",
          coalesce((u.limits->>'spendPerMonth')::numeric * 1000000, ${budgets.monthMicros}::numeric, 'Infinity') AS "mostMonth"
        FROM "User" u WHERE u.id = ${userId}::uuid
      )
      INSERT INTO "UserSpend" AS s ("userId", month, "monthMicros", day, "dayMicros")
      SELECT ${userId}::uuid, month, ${micros}::bigint, day, ${micros}::bigint FROM today WHERE ${micros}::bigint <= "mostDay" AND ${micros}::bigint <= "mostMonth"
      ON CONFLICT ("userId", month) DO UPDATE SET "monthMicros" = s."monthMicros" + excluded."monthMicros",
        "dayMicros" = excluded."dayMicros" + CASE WHEN s.day >= excluded.day THEN s."dayMicros" ELSE 0 END, day = greatest(s.day, excluded.day)
      WHERE s."monthMicros" + excluded."monthMicros" <= (SELECT "mostMonth" FROM today)
        AND excluded."dayMicros" + CASE WHEN s.day >= excluded.day THEN s."dayMicros" ELSE 0 END <= (SELECT "mostDay" FROM today)
      RETURNING day::text, month::text`
    return booked ?? null
  }

  async takeBack(userId: string, micros: number, { day, month }: Booking): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "UserSpend" SET "monthMicros" = greatest(0, "monthMicros" - ${micros}::bigint),
        "dayMicros" = CASE WHEN day = ${day}::date THEN greatest(0, "dayMicros" - ${micros}::bigint) ELSE "dayMicros" END
      WHERE "userId" = ${userId}::uuid AND month = ${month}::date`
  }

  async spentBy(userId: string, budgets: Budgets): Promise<Spent> {
    const [row] = await this.#db.$queryRaw<Record<string, unknown>[]>`
      SELECT CASE WHEN s.day = (now() AT TIME ZONE 'UTC')::date THEN s."dayMicros" ELSE 0 END AS day, s."monthMicros" AS month,
        (u.limits->>'spendPerDay')::numeric * 1000000 AS "mostDay", (u.limits->>'spendPerMonth')::numeric * 1000000 AS "mostMonth"
      FROM "User" u LEFT JOIN "UserSpend" s ON s."userId" = u.id AND s.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
      WHERE u.id = ${userId}::uuid`
    return {
      dayMicros: Number(row?.['day'] ?? 0),
      monthMicros: Number(row?.['month'] ?? 0),
      budgets: {
        dayMicros: numberOrNull(row?.['mostDay'] ?? budgets.dayMicros),
        monthMicros: numberOrNull(row?.['mostMonth'] ?? budgets.monthMicros),
      },
    }
  }
}
