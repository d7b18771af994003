/**
 * Reports on their way to the queue. Those of a quarter of a second are one message: to store,
 * deliver and acknowledge a message costs far more CPU than a report in it. One that is wanted soon
 * takes along those that wait. What cannot be stored is tried again for as long as it is wanted;
 * that is said once, until something is stored again.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { reportsSubject, type Change, type Report } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import type { Hosted } from './hosted.ts'
import { versioned } from '#libs/bus/version.ts'

const gatherMs = 250
/** Where none was sent for that long, one waits for hardly any other. */
const idleMs = 10
/** A message must not be larger than NATS takes: 1 MB. */
const mostReports = 500
const mostChars = 300_000
/** What could not be stored is tried again. */
const againMs = 500

interface Waiting {
  text: string
  resolve(): void
  reject(err: unknown): void
}

export class Reporter {
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #log: Logger
  readonly #subject: string
  #waiting: Waiting[] = []
  #flushedAt = -Infinity
  #dueAt = Infinity
  #cancel: (() => void) | undefined
  #isSaid = false

  constructor({ bus, clock, log }: { bus: Bus; clock: Clock; log: Logger }) {
    this.#bus = bus
    this.#clock = clock
    this.#log = log
    this.#subject = reportsSubject(clock.uuid())
  }

  /** False when it is not wanted any more, stored or not. */
  async store(report: Report, isWanted: () => boolean): Promise<boolean> {
    for (;;) {
      try {
        await this.#storeOnce(report)
        this.#isSaid = false
        crashPoint('report-stored')
        return isWanted()
      } catch (err) {
        if (!isWanted()) return false
        // rule: an outage is said once
        if (!this.#isSaid) this.#log.warn({ err, video: report.id }, 'reports not stored yet')
        this.#isSaid = true
        await sleep(againMs, undefined, this.#clock)
      }
    }
  }

  /** @throws BusUnavailable */
  #storeOnce(report: Report): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text: versioned(report), resolve, reject })
      const soonest = this.#clock.now() + idleMs
      // rule: an end that a webhook told of is not gathered with others
      const dueAt = report.soon ? soonest : Math.max(soonest, this.#flushedAt + gatherMs)
      if (dueAt >= this.#dueAt) return
      this.#cancel?.()
      this.#dueAt = dueAt
      this.#cancel = this.#clock.after(dueAt - this.#clock.now(), () => this.#flush())
    })
  }

  #flush(): void {
    this.#flushedAt = this.#clock.now()
    this.#dueAt = Infinity
    for (const message of inMessages(this.#waiting.splice(0))) {
      this.#bus.store(this.#subject, `[${message.map((one) => one.text).join(',')}]`).then(
        () => message.forEach((one) => one.resolve()),
        (err: unknown) => message.forEach((one) => one.reject(err)),
      )
    }
  }
}

function inMessages(waiting: Waiting[]): Waiting[][] {
  const messages: Waiting[][] = []
  let chars = Infinity
  for (const one of waiting) {
    chars += one.text.length
    if (chars > mostChars || messages.at(-1)!.length === mostReports) {
      messages.push([])
      chars = one.text.length
    }
    messages.at(-1)!.push(one)
  }
  return messages
}

/** Its next report. An end that its provider told of by a webhook is wanted soon. */
export function nextReport(video: Hosted, change: Change | null, said?: string): Report {
  const { id, attempt, epoch, isHinted } = video
  const isSoon = isHinted && change !== null && isTerminal(change.status)
  const report = { id, attempt, epoch, no: ++video.no, change, said }
  return isSoon ? { ...report, soon: true } : report
}
