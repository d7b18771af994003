import { readConfig } from '#libs/runtime/config.ts'
import { runService } from '#libs/runtime/service.ts'
import { gatewaySettings } from './config.ts'
import { startGateway } from './service.ts'

await runService('gateway', (signal) =>
  startGateway(readConfig(gatewaySettings, process.env), signal),
)
