/**
 * AI configurations: one per project, one per user. The effective one is project, else user, else
 * system. A provider key is stored sealed, and its column is not even read here; it stays with the
 * address it was given for.
 */
import type { Database } from './connect.ts'
import type { Prisma } from './generated/client.ts'
import type { EffectiveConfig } from './pending-video.ts'
import { Refused } from '#libs/scene-video/refusals.ts'

export interface AiConfigInput {
  provider: string
  model: string | null
  baseUrl: string | null
  /** undefined keeps the stored key, null removes it. */
  apiKey: { cipher: string; last4: string } | null | undefined
}

export interface AiConfigRecord {
  provider: string
  model: string | null
  baseUrl: string | null
  apiKeyLast4: string | null
  source: 'project' | 'user'
}

const select = {
  projectId: true,
  provider: true,
  model: true,
  baseUrl: true,
  apiKeyLast4: true,
} as const
type Row = {
  projectId: string | null
  provider: string
  model: string | null
  baseUrl: string | null
  apiKeyLast4: string | null
}
const toRecord = ({ projectId, ...row }: Row): AiConfigRecord => ({
  ...row,
  source: projectId ? 'project' : 'user',
})

export class AiConfigs {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Of the project, else of the user; null where the system's applies. */
  async effective(userId: string, projectId: string | null): Promise<AiConfigRecord | null> {
    const rows = await this.#db.aiConfig.findMany({
      where: { userId, OR: [{ projectId: null }, ...(projectId ? [{ projectId }] : [])] },
      select,
    })
    const row = rows.find((one) => one.projectId !== null) ?? rows[0]
    return row ? toRecord(row) : null
  }

  /** Replaces it. @throws Refused where an address is given without its key */
  async put(
    userId: string,
    projectId: string | null,
    input: AiConfigInput,
  ): Promise<AiConfigRecord> {
    return this.#db.$transaction(async (tx) => {
      const found = await lockOwn(tx, userId, projectId)
      const keeps = input.apiKey === undefined && found?.apiKeyLast4 != null
      if (keeps && (found.baseUrl !== input.baseUrl || found.provider !== input.provider))
        throw new Refused(
          'api_key_required',
          'The stored key was given for another provider or address: give apiKey again.',
        )
      if (!keeps && !input.apiKey && input.baseUrl !== null)
        throw new Refused(
          'api_key_required',
          'An address of your own needs a key of your own: give apiKey with baseUrl.',
        )
      const { provider, model, baseUrl } = input
      const key = keeps
        ? {}
        : { keyCipher: input.apiKey?.cipher ?? null, apiKeyLast4: input.apiKey?.last4 ?? null }
      const data = { provider, model, baseUrl, ...key }
      return toRecord(
        found
          ? await tx.aiConfig.update({ where: { id: found.id }, data, select })
          : await tx.aiConfig.create({ data: { userId, projectId, ...data }, select }),
      )
    })
  }

  async remove(userId: string, projectId: string | null): Promise<void> {
    await this.#db.aiConfig.deleteMany({ where: { userId, projectId } })
  }
}

/**
 * Two changes of the same configuration come one after the other, also when there is no row yet.
 */
async function lockOwn(tx: Prisma.TransactionClient, userId: string, projectId: string | null) {
  await tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`ai-config ${projectId ?? userId}`}, 0))::text`
  return tx.aiConfig.findFirst({ where: { userId, projectId }, select: { id: true, ...select } })
}

/** What is used for a project's videos, or the user's; null where it is the system's. */
export async function readEffectiveConfig(
  db: Database,
  userId: string,
  projectId: string | null,
): Promise<EffectiveConfig | null> {
  const rows = await db.aiConfig.findMany({
    where: { userId, OR: [{ projectId: null }, ...(projectId ? [{ projectId }] : [])] },
  })
  const row = rows.find((r) => r.projectId !== null) ?? rows[0]
  return row ? { ...row, source: row.projectId ? 'project' : 'user' } : null
}
