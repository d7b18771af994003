import { readConfig } from '#libs/runtime/config.ts'
import { runService } from '#libs/runtime/service.ts'
import { archiverSettings } from './config.ts'
import { startArchiver } from './service.ts'

await runService('archiver', (signal) =>
  startArchiver(readConfig(archiverSettings, process.env), signal),
)
