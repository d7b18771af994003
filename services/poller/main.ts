import { readConfig } from '#libs/runtime/config.ts'
import { runService } from '#libs/runtime/service.ts'
import { pollerSettings } from './config.ts'
import { startPoller } from './service.ts'

const config = () => readConfig(pollerSettings, process.env)
await runService(process.env['POLLER_NAME'] || 'poller', (signal) => startPoller(config(), signal))
