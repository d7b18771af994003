/**
 * The reports of one message that this version can read. What it cannot read is put aside alone:
 * into the dead letters, or back into the queue where a newer process wrote it. Nothing else of the
 * message waits for that.
 */
import { z } from 'zod'
import type { Job } from '#libs/bus/bus.ts'
import { deadLetter, type DeadLetterDeps } from '#libs/bus/work.ts'
import { isNewer, leftAgainMs, leftAtMost } from '#libs/bus/version.ts'
import { reportSchema, reportsSubject, type Report } from '#libs/scene-video/messages.ts'

/** Null: one could not be put aside, and the message is delivered again as a whole. */
export async function fitting(
  options: DeadLetterDeps,
  job: Job,
  all: unknown[],
): Promise<Report[] | null> {
  const reports: Report[] = []
  for (const one of all) {
    const { success, data, error } = reportSchema.safeParse(one)
    if (success) reports.push(data)
    else if (isNewer(one) && job.deliveries <= leftAtMost) {
      if (!(await left(options, job, one, all.length))) return null
    } else if (!(await buried(options, job, one, z.prettifyError(error)))) return null
  }
  return reports
}

const subjectOf = (job: Job, misfit: unknown): string => {
  const id = z.object({ id: z.uuid() }).safeParse(misfit).data?.id
  return id === undefined ? job.subject : reportsSubject(id)
}

/** As a message of its own, which comes again until a newer process takes it. */
async function left({ bus, log }: DeadLetterDeps, job: Job, misfit: unknown, count: number) {
  if (count > 1)
    try {
      await bus.store(subjectOf(job, misfit), JSON.stringify([misfit]))
      return true
    } catch (err) {
      log.warn({ err }, 'a report of a newer version not put aside')
    }
  job.nak(leftAgainMs)
  return false
}

async function buried(
  options: DeadLetterDeps,
  job: Job,
  misfit: unknown,
  reason: string,
): Promise<boolean> {
  let isBuried = false
  const letter: Job = {
    ...job,
    data: new TextEncoder().encode(JSON.stringify([misfit])),
    subject: subjectOf(job, misfit),
    // the message itself is acknowledged once its other reports are recorded
    term: () => (isBuried = true),
    nak: (ms) => job.nak(ms),
  }
  // rule: one report that does not fit is buried alone
  await deadLetter(options, letter, reason)
  return isBuried
}
