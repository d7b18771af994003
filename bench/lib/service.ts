/**
 * A worker that is one of our services, as its main.ts would start it, and can be asked for its
 * vitals.
 */
import { readConfig } from '#libs/runtime/config.ts'
import { answering } from './answering.ts'

/** Loads only what the one service loads: its memory is measured. */
const services = {
  poller: async () => {
    const [{ startPoller }, { pollerSettings }] = await Promise.all([
      import('#services/poller/service.ts'),
      import('#services/poller/config.ts'),
    ])
    return startPoller(readConfig(pollerSettings, process.env))
  },
  status: async () => {
    const [{ startStatus }, { statusSettings }] = await Promise.all([
      import('#services/status/service.ts'),
      import('#services/status/config.ts'),
    ])
    return startStatus(readConfig(statusSettings, process.env))
  },
  submit: async () => {
    const [{ startSubmit }, { submitSettings }] = await Promise.all([
      import('#services/submit/service.ts'),
      import('#services/submit/config.ts'),
    ])
    return startSubmit(readConfig(submitSettings, process.env))
  },
  archiver: async () => {
    const [{ startArchiver }, { archiverSettings }] = await Promise.all([
      import('#services/archiver/service.ts'),
      import('#services/archiver/config.ts'),
    ])
    return startArchiver(readConfig(archiverSettings, process.env))
  },
  reconciler: async () => {
    const [{ startReconciler }, { reconcilerSettings }] = await Promise.all([
      import('#services/reconciler/service.ts'),
      import('#services/reconciler/config.ts'),
    ])
    return startReconciler(readConfig(reconcilerSettings, process.env))
  },
}

const service = await services[process.argv[2] as keyof typeof services]()
process.on('SIGTERM', () => void service[Symbol.asyncDispose]().then(() => process.exit(0)))
answering()
