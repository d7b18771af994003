/**
 * Reports, gathered into batches and applied in rounds: the k-th report of every video goes into the k-th statement, so no
 * statement holds two rows of one video. Acked only when committed and published; an event that was committed and not
 * published before a crash is found as overdue.
 */
import type { Bus, Consuming, Job } from '#libs/bus/bus.ts'
import { streams, consumers } from '#libs/bus/topology.ts'
import { bury, decodeOrBury, type DeadTally } from '#libs/bus/work.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Tally } from '#libs/runtime/metrics.ts'
import { reportSchema, type OwedEvent, type Report } from '#libs/scene-video/messages.ts'
import type { ReportWriter } from '#libs/store/reports.ts'
import type { Public } from '#libs/store/connect.ts'
import { isDataFault } from '#libs/store/errors.ts'

export interface ApplyOptions {
  bus: Bus
  clock: Clock
  writer: Public<ReportWriter>
  publish(events: OwedEvent[]): Promise<number>
  log: Logger
  fates: Tally<'fate'>
  dead?: DeadTally
  batchMs: number
  batchMax: number
}

interface Item {
  body: Report
  job: Job
}

export function applyReports(options: ApplyOptions): Consuming {
  const { bus, clock, batchMs, batchMax } = options
  let gathered: Item[] = []
  let cancel: (() => void) | undefined
  let applying: Promise<void> = Promise.resolve()

  const flush = () => {
    cancel?.()
    cancel = undefined
    const batch = gathered
    gathered = []
    if (batch.length) applying = applying.then(() => applyBatch(options, batch))
    return applying
  }
  const consuming = bus.consume(streams.reports, consumers.status, batchMax * 2, async (job) => {
    const body = await decodeOrBury(options, job, reportSchema)
    if (body === undefined) return
    gathered.push({ body, job })
    if (gathered.length >= batchMax) await flush()
    else cancel ??= clock.after(batchMs, () => void flush())
  })
  return {
    isHealthy: () => consuming.isHealthy(),
    async [Symbol.asyncDispose]() {
      await consuming[Symbol.asyncDispose]()
      await flush()
    },
  }
}

async function applyBatch(options: ApplyOptions, batch: Item[]): Promise<void> {
  const { log } = options
  const events: OwedEvent[] = []
  try {
    const rounds = splitIntoRounds(batch)
    for (const [k, round] of rounds.entries()) {
      if (k > 0) crashPoint('mid-batch')
      events.push(...(await applyRound(options, round)))
    }
  } catch (err) {
    return halve(options, batch, err)
  }
  try {
    await options.publish(events)
  } catch (err) {
    log.warn({ err: (err as Error).message }, 'events stay owed')
  }
  crashPoint('before-ack')
  for (const { job } of batch) job.ack()
}

/** A batch that Postgres refuses is halved until the one report at fault is alone, and that is dead-lettered. */
async function halve(options: ApplyOptions, batch: Item[], err: unknown): Promise<void> {
  const { log } = options
  if (!isDataFault(err)) {
    log.warn({ err: (err as Error).message }, 'reports not applied, will be delivered again')
    for (const { job } of batch) job.nak(1_000)
    return
  }
  if (batch.length === 1) return bury(options, batch[0]!.job, `refused by Postgres: ${(err as Error).message}`)
  const middle = batch.length >> 1
  await applyBatch(options, batch.slice(0, middle))
  await applyBatch(options, batch.slice(middle))
}

/** The events it caused. */
async function applyRound({ writer, fates, log }: ApplyOptions, round: Report[]): Promise<OwedEvent[]> {
  const outcomes = await writer.apply(round)
  for (const report of round) {
    const fate = outcomes.get(report.id)?.fate ?? 'stale'
    fates.inc({ fate })
    if (fate !== 'applied') log.info({ video: report.id, epoch: report.epoch, no: report.no, fate }, 'Report not applied')
  }
  return [...outcomes.values()].flatMap(({ event }) => event ?? [])
}

/** Reports of one video in order of (epoch, no), each in a round of its own. */
export function splitIntoRounds(batch: Item[]): Report[][] {
  const rounds: Report[][] = []
  for (const reports of Map.groupBy(batch.map((item) => item.body), (report) => report.id).values()) {
    reports.sort((a, b) => Number(BigInt(a.epoch) - BigInt(b.epoch)) || a.no - b.no)
    for (const [k, report] of reports.entries()) (rounds[k] ??= []).push(report)
  }
  return rounds
}
