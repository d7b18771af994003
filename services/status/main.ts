import { readConfig } from '#libs/runtime/config.ts'
import { runService } from '#libs/runtime/service.ts'
import { statusSettings } from './config.ts'
import { startStatus } from './service.ts'

await runService('status', (signal) => startStatus(readConfig(statusSettings, process.env), signal))
