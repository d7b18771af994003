/**
 * Creates whose answers are lost, through the whole system, judged by the ledger: whatever a
 * provider's form of recovery is, no attempt has a second task, and a video that completes shows
 * the task that was made for it. Answers get lost by time-outs, by connections that end, by 5xx
 * before and after the task was made, and by submit's death around the send.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { CrashPoint } from '#libs/runtime/crash-point.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { defaults } from '#services/provider-simulator/settings.ts'
import { holdClosed } from './circuits.ts'
import { pause, System, until } from './system.ts'

/** One for each form of recovery. */
export const lossyProviders = ['kling', 'vercel', 'vidu', 'ark', 'replicate', 'runway'] as const
/** One that cannot be asked, and names its tasks by callbacks. */
export const callingProvider = 'openrouter'

const lossy = { acceptThenTimeout: 0.15, acceptThenReset: 0.25, status500: 0.1, malformed: 0.03 }
/** Every create is accepted, whatever becomes of its answer. */
const accepting = { acceptThenTimeout: 0.2, acceptThenReset: 0.4 }
const webhookSecret = 'whsec'
const deaths: CrashPoint[] = ['intent-committed', 'create-answered']
interface Row {
  id: string
  prompt: string
  status: string
  errorCode: string | null
  taskId: string | null
  guarantee: string
  how: string | null
}

export interface Losses {
  provider: string
  guarantee: string
  videos: number
  completed: number
  /** Of these, found again after their answer was lost. */
  recovered: number
  submissionUnknown: number
  /** How often submit died between the intent and the record of an answer. */
  deaths: number
  tasks: number
  /** Tasks of the attempt that has the most: 1 where nothing was paid for twice. */
  mostOfOne: number
  /** Completed with a task that is not the one made for it; ended in any other way. */
  wrong: string[]
}

export class LossySystem implements AsyncDisposable {
  readonly #crashes = mkdtempSync(join(tmpdir(), 'reelkeeper-crashes-'))
  readonly #system: System
  readonly #isCalled: boolean

  private constructor(port: number, isCalled: boolean) {
    this.#isCalled = isCalled
    this.#system = new System({
      ...(isCalled ? { PORT: String(port), PUBLIC_URL: `http://127.0.0.1:${port}` } : {}),
      OPENROUTER_WEBHOOK_SECRET: webhookSecret,
      CRASH_POINTS: this.#crashes,
      POLL_INTERVAL_MS: '500',
      RECONCILE_INTERVAL_MS: '2000',
      CREATE_TIMEOUT_MS: '1500',
      SEND_WINDOW_MS: '1500',
      LOOKUP_WINDOW_MS: '6000',
    })
  }

  /** `isCalled`: where providers that tell of ends reach it. */
  static async make({ isCalled = false } = {}): Promise<LossySystem> {
    return new LossySystem(await freePort(), isCalled)
  }

  async start(): Promise<void> {
    await this.#system.start()
    await this.#system.simulate({
      minSeconds: 0.5,
      maxSeconds: 1.5,
      tier: 'off',
      webhookSecret,
      webhookUrl: null,
    })
  }

  /**
   * So many videos of each of these providers, all asked for at once, while submit dies up to so
   * many times: each death begins the waiting for absences anew. `isAccepting`: no create is lost,
   * only answers are.
   */
  async lose(
    providers: readonly string[],
    { videos, deaths: most, isAccepting }: { videos: number; deaths: number; isAccepting?: true },
  ): Promise<Losses[]> {
    const system = this.#system
    // recovery counts at an account where it was seen to work
    await this.#ended(
      await Promise.all(providers.map((provider) => this.#make(provider, `${provider} first`))),
    )
    for (const provider of providers) await holdClosed(system, provider)
    await system.simulate({ faults: isAccepting ? accepting : lossy })
    const over = new AbortController()
    const dying = this.#kill(isAccepting ? ['create-answered'] : deaths, most, over.signal)
    const ids: string[] = []
    for (let n = 0; n < videos; n += 50) {
      const some = Array.from({ length: Math.min(50, videos - n) }, (_, i) => i + n)
      const made = some.flatMap((i) => providers.map((one) => this.#make(one, `${one} ${i}.`)))
      ids.push(...(await Promise.all(made)))
    }
    await this.#sent(ids)
    // what is asked afterwards is answered
    await system.simulate({ faults: defaults.faults })
    const ended = this.#isCalled ? this.#outwait(ids) : Promise.resolve()
    await ended.then(() => this.#ended(ids)).finally(() => over.abort())
    const died = await dying
    return Promise.all(providers.map((provider) => this.#judge(provider, videos, died)))
  }

  async #make(provider: string, prompt: string): Promise<string> {
    return until(`${prompt} to be accepted`, async () => {
      const key = { 'idempotency-key': `"${prompt}"` }
      const body = { provider, prompt }
      const answer = await this.#system.api('POST', this.#system.generatePath(), body, key)
      return answer.status === 202 ? String(answer.body['id']) : undefined
    })
  }

  /** Each create was sent, and answered or lost. */
  async #sent(ids: string[]): Promise<void> {
    await until(
      `creates of ${ids.length} videos`,
      async () => {
        const [row] = await this.#query<{ sent: number }>(
          `SELECT count(DISTINCT "videoId")::int AS sent FROM "Submission"
           WHERE "videoId" = ANY($1) AND ("answeredAt" IS NOT NULL OR "intentAt" < now() - interval '4 s')`,
          [ids],
        )
        return row!.sent === ids.length || undefined
      },
      600_000,
    )
  }

  /**
   * Once nothing is open but what the ledger knows was never accepted: as if callbacks of these had
   * been waited for in vain.
   */
  async #outwait(ids: string[]): Promise<void> {
    const isOpen = `id = ANY($1) AND status IN ('pending', 'generating')`
    const open = await until(
      'the end of all that were accepted',
      async () => {
        const made = new Set((await this.#system.ledger()).map(({ prompt }) => prompt))
        const left = await this.#query<{ id: string; prompt: string }>(
          `SELECT id, prompt FROM "SceneVideo" WHERE ${isOpen}`,
          [ids],
        )
        return left.some(({ prompt }) => made.has(prompt)) ? undefined : left.map(({ id }) => id)
      },
      300_000,
    )
    await this.#query(
      `UPDATE "Submission" SET "intentAt" = now() - interval '2 h' WHERE "videoId" = ANY($1)`,
      [open],
    )
    await this.#query(`UPDATE "SceneVideo" SET "dueAt" = now() WHERE ${isOpen}`, [open])
  }

  async #ended(ids: string[]): Promise<void> {
    await until(
      `the end of ${ids.length} videos`,
      async () => {
        const open = await this.#query<{ provider: string; open: number }>(
          `SELECT provider, count(*)::int AS open FROM "SceneVideo"
           WHERE id = ANY($1) AND status IN ('pending', 'generating') GROUP BY provider`,
          [ids],
        )
        if (open.length > 0) throw new Error(`open are ${JSON.stringify(open)}`)
        return true
      },
      600_000,
    )
  }

  /** At each moment in turn; how often it happened. */
  async #kill(points: CrashPoint[], most: number, signal: AbortSignal): Promise<number> {
    let died = 0
    while (died < most && !signal.aborted) {
      const point = points[died % points.length]!
      const armed = join(this.#crashes, point)
      writeFileSync(armed, '')
      while (existsSync(armed) && !signal.aborted) await pause(100)
      if (existsSync(armed)) rmSync(armed)
      else died++
      await pause(1_000)
    }
    return died
  }

  async #judge(provider: string, videos: number, died: number): Promise<Losses> {
    const rows = await this.#query<Row>(
      `SELECT v.id, v.prompt, v.status, v."errorCode", v."taskId", v.guarantee, t.detail->>'how' AS how
       FROM "SceneVideo" v LEFT JOIN "Timeline" t ON t."videoId" = v.id AND t.kind = 'submitted'
       WHERE v.provider = $1 AND v.prompt LIKE '%.'`,
      [provider],
    )
    const charged = (await this.#system.ledger()).filter(
      (task) => task.provider === provider && task.prompt.endsWith('.'),
    )
    const made = Map.groupBy(charged, (task) => task.prompt)
    const completed = rows.filter(({ status }) => status === 'completed')
    const unknown = rows.filter(({ errorCode }) => errorCode === 'submission_unknown')
    const wrong = [
      ...completed.filter(
        (row) => !row.taskId!.includes(made.get(row.prompt)?.[0]?.task_id ?? '?'),
      ),
      ...rows.filter((row) => row.status !== 'completed' && !unknown.includes(row)),
    ]
    return {
      provider,
      guarantee: rows[0]?.guarantee ?? '',
      videos: rows.length === videos ? videos : NaN,
      completed: completed.length,
      recovered: completed.filter(({ how }) => how === 'lookup').length,
      submissionUnknown: unknown.length,
      deaths: died,
      tasks: charged.length,
      mostOfOne: Math.max(1, ...[...made.values()].map((tasks) => tasks.length)),
      wrong: wrong.map((row) => `${row.id} ${row.prompt} ${row.status} ${row.errorCode}`),
    }
  }

  async #query<T extends object>(sql: string, values: unknown[]): Promise<T[]> {
    const client = new pg.Client(this.#system.internal.databaseUrl)
    await client.connect()
    try {
      return (await client.query<T>(sql, values)).rows
    } finally {
      await client.end()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#system[Symbol.asyncDispose]()
    rmSync(this.#crashes, { recursive: true, force: true })
  }
}
