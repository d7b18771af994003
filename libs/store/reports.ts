/**
 * What status writes: claims and reports, each kind (a sign of life, a change, an end) in one
 * fenced statement that also writes the timeline.
 *
 * The fence: same attempt, not terminal, and (epoch, report number) greater than the row's. A
 * report that doesn't pass changes nothing; a result that comes after the end is noted on the
 * timeline as late. One row per video per statement: the caller splits a batch so that no video
 * appears twice. A row that somebody else holds is left out, so that nobody waits for it.
 */
import type { Report } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { commitClaims, type Bid, type Claimed } from './commit-claims.ts'
import type { Database } from './connect.ts'
import type { Changed, Outcome } from './fence.ts'
import { recordEnds } from './record-ends.ts'
import { recordProgress } from './record-progress.ts'
import { recordSignsOfLife } from './record-signs-of-life.ts'
import { recordUnknownWords, type Said } from './record-unknown-words.ts'

export type { Fate, Outcome } from './fence.ts'

export class ReportWriter {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  commitClaims(session: string, bids: Bid[]): Promise<Claimed> {
    return commitClaims(this.#db, session, bids)
  }

  /** Applies reports, at most one per video. */
  async apply(reports: Report[]): Promise<Map<string, Outcome>> {
    const changed = reports.filter((report): report is Changed => report.change !== null)
    const ends = changed.filter((report) => isTerminal(report.change.status))
    const goesOn = changed.filter((report) => !isTerminal(report.change.status))
    const still = reports.filter((report) => report.change === null)
    const alive = still.filter((report) => report.said === undefined)
    const vague = still.filter((report): report is Said => report.said !== undefined)
    const outcomes = await Promise.all([
      ends.length ? recordEnds(this.#db, ends) : [],
      goesOn.length ? recordProgress(this.#db, goesOn) : [],
      alive.length ? recordSignsOfLife(this.#db, alive) : [],
      vague.length ? recordUnknownWords(this.#db, vague) : [],
    ])
    return new Map(outcomes.flat())
  }
}
