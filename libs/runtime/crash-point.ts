/**
 * Named points between two effects, at which a process can be told to die. For tests: without
 * CRASH_POINTS in the environment a point does nothing. With it, a file `<CRASH_POINTS>/<name>`
 * arms that point; the one process that comes by and renames it to `<name>.fired` dies there as by
 * `kill -9`. The renamed file is the proof that it happened.
 */
import { renameSync } from 'node:fs'
import { join } from 'node:path'

export const crashPoints = [
  'request-accepted', // submit: the row is committed, no work is queued
  'intent-committed', // submit: nothing is sent yet
  'create-answered', // submit: the provider has answered, nothing is recorded
  'acceptance-recorded', // submit: not handed over to the pollers
  'before-publish', // submit, status, reconciler: events are committed, none is published
  'mid-publish', // some events of a video are published
  'before-mark', // published, not marked as such
  'claim-written', // poller: the owner record names it, status does not know
  'claim-committed', // status: the epoch is committed, the poller has not heard
  'claim-granted', // poller: granted, not hosted yet
  'poll-answered', // poller: the provider has answered, nothing is reported
  'report-stored', // poller: reported, nothing else done
  'end-reported', // poller: the end is reported, the owner record still names it
  'mid-batch', // status: some rounds of a batch are committed
  'before-ack', // status: committed and published, not acknowledged
  'handoff-offered', // poller: not hosted any more, the peer is not told yet
  'session-ended', // poller: stopping, its session is ended, it has not exited
  'mid-reconcile', // reconciler: part of a pass is done
  'file-stored', // archiver: the file is in the store, nothing is recorded
  'file-recorded', // archiver: recorded, its event is not published
] as const
export type CrashPoint = (typeof crashPoints)[number]

const directory = process.env['CRASH_POINTS']

export const crashPoint: (name: CrashPoint) => void = directory
  ? (name) => dieIfArmed(directory, name)
  : () => {}

function dieIfArmed(dir: string, name: CrashPoint): void {
  try {
    renameSync(join(dir, name), join(dir, `${name}.fired`))
  } catch {
    return
  }
  process.kill(process.pid, 'SIGKILL')
  for (;;); // the signal ends the process before another effect
}
