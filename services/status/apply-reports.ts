/**
 * Reports, gathered into batches and applied in rounds: the k-th report of every video goes into
 * the k-th statement, so no statement holds two rows of one video. Acked only when committed and
 * published; an event that was committed and not published before a crash is found as overdue.
 */
import type { Bus, Consuming, Job } from '#libs/bus/bus.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { deadLetter, parseOrDeadLetter, type DeadLetterCounter } from '#libs/bus/work.ts'
import { Batcher } from '#libs/runtime/batcher.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { CounterLike } from '#libs/runtime/metrics.ts'
import {
  reportsSchema,
  reportsSubject,
  type OwedEvent,
  type Report,
} from '#libs/scene-video/messages.ts'
import type { ReportWriter } from '#libs/store/reports.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import { isDataFault } from '#libs/store/errors.ts'
import { fitting } from './fitting.ts'

export interface ApplyOptions {
  bus: Bus
  clock: Clock
  writer: InterfaceOf<ReportWriter>
  publish(events: OwedEvent[]): Promise<number>
  log: Logger
  fates: CounterLike<'fate'>
  dead?: DeadLetterCounter
  batchMs: number
  batchMax: number
}

/** A message. */
interface Item {
  reports: Report[]
  job: Job
}

const mostMessagesAhead = 100
/** Delivered again after this long: what Postgres did not take, and what met a locked row. */
const [againMs, lockedAgainMs] = [1_000, 500]

/** Where nothing was reported for a while, one report waits for hardly any other. */
const idleMs = 10
/** What is wanted soon makes a batch this long after the last one. */
const soonMs = 20

export function applyReports(options: ApplyOptions): Consuming {
  const { bus, clock, batchMs, batchMax } = options
  let applying: Promise<void> = Promise.resolve()
  let batches = 0
  const batcher = new Batcher<Item>({
    clock,
    waitMs: batchMs,
    idleMs,
    soonMs,
    isSoon: (item) => item.reports.some((report) => report.soon),
    maxSize: batchMax,
    sizeOf: (item) => item.reports.length,
    handle: (batch) => {
      batches++
      applying = applying.then(() => applyBatch(options, batch)).finally(() => batches--)
    },
  })
  const consuming = bus.consume(
    streams.reports,
    consumers.status,
    mostMessagesAhead,
    async (job) => {
      const parsed = await parseOrDeadLetter(options, job, reportsSchema)
      if (parsed === undefined) return
      const reports = await fitting(options, job, parsed)
      if (reports === null) return
      if (reports.length === 0) return job.ack()
      batcher.add({ reports, job })
      if (batches > 1) await applying
    },
  )
  return {
    isHealthy: () => consuming.isHealthy(),
    async [Symbol.asyncDispose]() {
      await consuming[Symbol.asyncDispose]()
      batcher.flush()
      await applying
    },
  }
}

async function applyBatch(options: ApplyOptions, batch: Item[]): Promise<void> {
  const { log } = options
  const events: OwedEvent[] = []
  /** Videos whose row somebody else holds: these reports are put aside, and no later one passes. */
  const locked = new Set<string>()
  try {
    const rounds = splitIntoRounds(batch.flatMap((item) => item.reports))
    for (const [k, round] of rounds.entries()) {
      if (k > 0) crashPoint('mid-batch')
      const free = round.filter((report) => !locked.has(report.id))
      events.push(...(await applyRound(options, free, locked)))
    }
  } catch (err) {
    return halve(options, batch, err)
  }
  try {
    await options.publish(events)
  } catch (err) {
    log.warn({ err }, 'events stay owed')
  }
  crashPoint('before-ack')
  for (const item of batch) await settle(options, item, locked)
}

/** Acks the message; what of it met a locked row is a message of its own from then on. */
async function settle({ bus, log }: ApplyOptions, item: Item, locked: Set<string>): Promise<void> {
  const { reports, job } = item
  const aside = locked.size ? reports.filter((report) => locked.has(report.id)) : []
  if (aside.length === 0) return job.ack()
  const byVideo = Map.groupBy(aside, (report) => report.id)
  if (byVideo.size === 1 && aside.length === reports.length) return job.nak(lockedAgainMs)
  log.warn({ videos: [...byVideo.keys()].slice(0, 10) }, 'rows are locked, their reports put aside')
  try {
    for (const [id, some] of byVideo) await bus.store(reportsSubject(id), JSON.stringify(some))
    job.ack()
  } catch (err) {
    log.warn({ err }, 'reports of locked rows not put aside')
    job.nak(againMs)
  }
}

/**
 * A batch that Postgres refuses is halved until the one report at fault is alone, and that is
 * dead-lettered.
 */
async function halve(options: ApplyOptions, batch: Item[], err: unknown): Promise<void> {
  const { log } = options
  if (!isDataFault(err)) {
    log.warn({ err }, 'reports not applied, will be delivered again')
    for (const { job } of batch) job.nak(againMs)
    return
  }
  if (batch.length === 1 && batch[0]!.reports.length === 1)
    return deadLetter(options, alone(batch[0]!), `refused by Postgres: ${(err as Error).message}`)
  const items = batch.length > 1 ? batch : inTwo(batch[0]!)
  const middle = items.length >> 1
  await applyBatch(options, items.slice(0, middle))
  await applyBatch(options, items.slice(middle))
}

/**
 * The message is acked when both halves are done; delivered again as a whole when one has to be.
 */
function inTwo({ reports, job }: Item): Item[] {
  const middle = reports.length >> 1
  let left = 2
  let againAfter: number | undefined
  const done = () => {
    if (--left > 0) return
    if (againAfter === undefined) job.ack()
    else job.nak(againAfter)
  }
  const again = (ms: number) => {
    againAfter = ms
    done()
  }
  return [reports.slice(0, middle), reports.slice(middle)].map((some) => ({
    reports: some,
    job: { ...job, ack: done, term: done, nak: again },
  }))
}

/** As a message of its own, so that it can be put back. */
const alone = ({ reports, job }: Item): Job => ({
  ...job,
  subject: reportsSubject(reports[0]!.id),
  data: new TextEncoder().encode(JSON.stringify(reports)),
})

/** The events it caused; adds to `locked` what it could not reach. */
async function applyRound(
  { writer, fates, log }: ApplyOptions,
  round: Report[],
  locked: Set<string>,
): Promise<OwedEvent[]> {
  if (round.length === 0) return []
  const outcomes = await writer.apply(round)
  for (const report of round) {
    const fate = outcomes.get(report.id)?.fate ?? 'stale'
    fates.inc({ fate })
    if (fate === 'locked') locked.add(report.id)
    else if (fate !== 'applied')
      log.info({ video: report.id, epoch: report.epoch, no: report.no, fate }, 'Report not applied')
  }
  return [...outcomes.values()].flatMap(({ event }) => event ?? [])
}

/** Reports of one video in order of (epoch, no), each in a round of its own. */
export function splitIntoRounds(all: Report[]): Report[][] {
  const rounds: Report[][] = []
  for (const reports of Map.groupBy(all, (report) => report.id).values()) {
    reports.sort((a, b) => Number(BigInt(a.epoch) - BigInt(b.epoch)) || a.no - b.no)
    // rule: one row per video per statement
    for (const [k, report] of reports.entries()) (rounds[k] ??= []).push(report)
  }
  return rounds
}
