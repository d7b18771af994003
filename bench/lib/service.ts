/**
 * A worker that is one of our services, as its main.ts would start it, and can be asked for its
 * vitals.
 */
import { readConfig } from '#libs/runtime/config.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { startArchiver } from '#services/archiver/service.ts'
import { startPoller } from '#services/poller/service.ts'
import { pollerSettings } from '#services/poller/config.ts'
import { startReconciler } from '#services/reconciler/service.ts'
import { reconcilerSettings } from '#services/reconciler/config.ts'
import { startStatus } from '#services/status/service.ts'
import { statusSettings } from '#services/status/config.ts'
import { startSubmit } from '#services/submit/service.ts'
import { submitSettings } from '#services/submit/config.ts'
import { answering } from './answering.ts'

const services = {
  poller: () => startPoller(readConfig(pollerSettings, process.env)),
  status: () => startStatus(readConfig(statusSettings, process.env)),
  submit: () => startSubmit(readConfig(submitSettings, process.env)),
  archiver: () => startArchiver(readConfig(archiverSettings, process.env)),
  reconciler: () => startReconciler(readConfig(reconcilerSettings, process.env)),
}

const service = await services[process.argv[2] as keyof typeof services]()
process.on('SIGTERM', () => void service[Symbol.asyncDispose]().then(() => process.exit(0)))
answering()
