import { z } from 'zod'
import { port, serviceSettings } from '#libs/runtime/config.ts'

export const simulatorSettings = z.object({
  ...serviceSettings,
  SIMULATOR_PORT: port(4010),
  SIMULATOR_HOST: z.string().default('127.0.0.1'),
  /** Directory of the ledger and the settings. */
  SIMULATOR_DATA: z.string().default('.reelkeeper/simulator'),
})
export type SimulatorConfig = z.infer<typeof simulatorSettings>
