/**
 * What submit writes: the accepted request, the intent of each create, and what its answer meant.
 *
 * Whatever may race (a cancel, a retry, another submit process) is decided in the domain from the
 * row and its sends, and written by one statement only if the row is still as it was read; else it
 * is read and decided again. So no lock is held across a round trip. Cancel and retry lock the row.
 */
import {
  decideAcceptance,
  decideIntent,
  isWaitingAt,
  type NoTask,
} from '#libs/scene-video/decisions.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { VideoError } from '#libs/scene-video/scene-video.ts'
import { OneByOne } from '#libs/runtime/one-by-one.ts'
import { readEffectiveConfig } from './ai-configs.ts'
import { acceptVideo, gatherInserts, type Accepted, type NewVideo } from './accept-video.ts'
import { cancelVideo, retryVideo, type VideoOrder } from './cancel-retry.ts'
import type { Database } from './connect.ts'
import { readProof, writeProof } from './account-proofs.ts'
import { handBackVideos, keepVideos, takeDueVideos, type DueVideo } from './due-videos.ts'
import { gatherAcceptances, gatherIntents, gatherWaits } from './move-many.ts'
import {
  writeAcceptance,
  writeFailure,
  writeIntent,
  type AcceptedTask,
  type Pins,
  type Wait,
} from './move-pending.ts'
import {
  gatherLoads,
  unanswered,
  type EffectiveConfig,
  type Loaded,
  type SendRecord,
} from './pending-video.ts'
import { PostgresTime } from './postgres-time.ts'
import {
  addDoubtfulIntents,
  gatherAnswers,
  keepCalledTask,
  readSentBeside,
  writeLateResult,
  writeLooked,
  type CalledTask,
} from './sends.ts'
import { isOfAnother, type SentTask } from './sent-tasks.ts'
import type { VideoRecord } from './video-row.ts'

export type {
  Accepted,
  DueVideo,
  EffectiveConfig,
  Loaded,
  NewVideo,
  Pins,
  SendRecord,
  VideoOrder,
  VideoRecord,
  Wait,
}
export type SubmissionRecord = Awaited<ReturnType<Database['submission']['findFirstOrThrow']>>

export interface AcceptanceResult {
  fate: 'taken' | 'late' | 'duplicate' | 'of_another'
  event: OwedEvent | null
}

type LateResult = [said: 'completed' | 'failed', detail: Record<string, string | null>]
type AnsweredAs = [
  id: string,
  attempt: number,
  send: number,
  answer: NoTask,
  detail: string,
  isOpen?: boolean,
]
/** How often a row that keeps changing is read and decided again. */
const mostTries = 20

export class SubmissionWriter {
  readonly #db: Database
  readonly #time: PostgresTime
  readonly #byTask = new OneByOne()
  readonly #intents: ReturnType<typeof gatherIntents>
  readonly #acceptances: ReturnType<typeof gatherAcceptances>
  readonly #inserts: ReturnType<typeof gatherInserts>
  readonly #loads: ReturnType<typeof gatherLoads>
  readonly #waits: ReturnType<typeof gatherWaits>
  readonly #answers: ReturnType<typeof gatherAnswers>

  constructor(db: Database) {
    this.#db = db
    this.#intents = gatherIntents(db)
    this.#acceptances = gatherAcceptances(db)
    this.#time = new PostgresTime(db)
    this.#inserts = gatherInserts(db, this.#time)
    this.#loads = gatherLoads(db)
    this.#waits = gatherWaits(db)
    this.#answers = gatherAnswers(db)
  }

  /** @throws Refused */
  acceptRequest(request: NewVideo): Promise<Accepted> {
    return acceptVideo(this.#db, this.#time, this.#inserts, request)
  }

  effectiveConfig = (userId: string, projectId: string | null): Promise<EffectiveConfig | null> =>
    readEffectiveConfig(this.#db, userId, projectId)

  load(id: string): Promise<Loaded | null> {
    return this.#loads.do({ id })
  }

  /**
   * Decides and writes until the row stood still in between, beginning with what was `seen` of it.
   * @throws when there is no such video, or it keeps changing
   */
  async #settled<T>(
    id: string,
    seen: Loaded | undefined,
    write: (loaded: Loaded) => Promise<T | 'changed'>,
  ): Promise<T> {
    let loaded: Loaded | null | undefined = seen
    for (let tries = 0; tries < mostTries; tries++) {
      loaded ??= await this.load(id)
      if (!loaded) throw new Error(`no video ${id}`)
      const done = await write(loaded)
      if (done !== 'changed') return done
      loaded = null
    }
    throw new Error(`video ${id} keeps changing`)
  }

  /**
   * Commits the intent to send. Only for the one caller who wrote it what comes back is not null:
   * the video as it then is. See `decideIntent`.
   */
  async intend(
    id: string,
    attempt: number,
    send: number,
    pins: Pins,
    seen?: Loaded,
  ): Promise<Loaded | null> {
    return this.#settled(id, seen, async (loaded) => {
      const how = decideIntent(loaded.video, loaded.submissions, { attempt, send })
      if (how === null) return null
      const revision =
        how === 'insert'
          ? await this.#intents.do({ id, loaded, attempt, send, pins })
          : await writeIntent(this.#db, loaded, { attempt, send }, pins, how)
      if (revision === null) return 'changed'
      const before = how === 'insert' ? loaded.submissions : loaded.submissions.slice(0, -1)
      const sent = { ...unanswered, ...pins, videoId: id, attempt, send }
      return { ...loaded, revision, submissions: [...before, sent] }
    })
  }

  /** See sends.ts. */
  addDoubtfulIntentsAfterRestore = (id: string, pins: Pins) =>
    addDoubtfulIntents(this.#db, id, pins)

  /**
   * The task is recorded on its attempt whatever became of the video meanwhile; the video moves
   * only if it still waits for it. See `decideAcceptance`. Nothing is written of a task that
   * another video has.
   */
  async recordAcceptance(id: string, task: AcceptedTask, seen?: Loaded): Promise<AcceptanceResult> {
    const record = async (loaded: Loaded): Promise<AcceptanceResult | 'changed'> => {
      const decision = decideAcceptance(loaded.video, loaded.submissions, task)
      const isPlain = decision.moves && decision.record === 'on_send'
      const event = isPlain
        ? await this.#acceptances.do({ id, loaded, task })
        : await writeAcceptance(this.#db, loaded, task, decision)
      if (event !== 'changed') return { fate: decision.fate, event }
      const isLost = decision.record !== 'known' && (await this.isOfAnother({ id, ...task }))
      return isLost ? { fate: 'of_another', event: null } : event
    }
    return this.#byTask.run(task.taskId, () => this.#settled(id, seen, record))
  }

  /** See sent-tasks.ts. */
  isOfAnother = (task: SentTask): Promise<boolean> => isOfAnother(this.#db, task)

  /** `isOpen`: what became of it may still show, and is asked on. */
  async answered(...[id, attempt, send, answer, detail, isOpen]: AnsweredAs): Promise<void> {
    const open = isOpen ?? answer === 'unreadable'
    await this.#answers.do({ id, attempt, send, answer, detail, isOpen: open })
  }

  looked = (id: string, attempt: number, send: number): Promise<void> =>
    writeLooked(this.#db, { id, attempt, send })
  keepCallback = (task: CalledTask) => keepCalledTask(this.#db, task)

  /** Why and for how long a pending video waits. */
  recordWait(id: string, attempt: number, wait: Wait): Promise<OwedEvent | null> {
    return this.#waits.do({ id, attempt, wait })
  }

  /** Ends a pending video; null when it is not pending at that attempt any more, or has a task. */
  async failPending(
    id: string,
    attempt: number,
    error: VideoError,
    seen?: Loaded,
  ): Promise<OwedEvent | null> {
    return this.#settled(id, seen, async (loaded) =>
      isWaitingAt(loaded.video, attempt) ? writeFailure(this.#db, loaded, error) : null,
    )
  }

  /** See due-videos.ts. */
  takeDue = (limit: number): Promise<DueVideo[]> => takeDueVideos(this.#db, limit)
  keepInHand = (ids: string[]): Promise<void> => keepVideos(this.#db, ids)
  handBack = (): Promise<number> => handBackVideos(this.#db)

  /** See cancel-retry.ts. */
  cancel = (order: VideoOrder) => cancelVideo(this.#db, order)
  retry = (order: VideoOrder) => retryVideo(this.#db, order)

  noteLate = (id: string, attempt: number, send: number, ...result: LateResult): Promise<boolean> =>
    writeLateResult(this.#db, { id, attempt, send }, ...result)
  /** See `readSentBeside`. */
  sentBeside = (send: SendRecord, withinMs: number) => readSentBeside(this.#db, send, withinMs)
  /** See account-proofs.ts. */
  isProven = (ids: string[], provider: string) => readProof(this.#db, ids, provider)
  prove = (accountId: string, provider: string) => writeProof(this.#db, { accountId, provider })
}
