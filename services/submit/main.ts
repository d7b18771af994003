import { readConfig } from '#libs/runtime/config.ts'
import { runService } from '#libs/runtime/service.ts'
import { submitSettings } from './config.ts'
import { startSubmit } from './service.ts'

await runService('submit', (signal) => startSubmit(readConfig(submitSettings, process.env), signal))
