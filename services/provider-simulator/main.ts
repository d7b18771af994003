import { readConfig } from '#libs/runtime/config.ts'
import { runService } from '#libs/runtime/service.ts'
import { simulatorSettings } from './config.ts'
import { startSimulator } from './service.ts'

await runService('simulator', () => startSimulator(readConfig(simulatorSettings, process.env)))
