import { readConfig } from '#libs/runtime/config.ts'
import { runService } from '#libs/runtime/service.ts'
import { reconcilerSettings } from './config.ts'
import { startReconciler } from './service.ts'

await runService('reconciler', (signal) =>
  startReconciler(readConfig(reconcilerSettings, process.env), signal),
)
