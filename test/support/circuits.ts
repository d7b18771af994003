/** Circuits in tests whose faults are meant for single videos. */
import { operate } from './operate.ts'
import { until, type System } from './system.ts'

/** Starts it, with the circuit of the system's account held closed by the operator's command. */
export async function startWithoutCircuit(system: System): Promise<void> {
  await system.start()
  await system.simulate({ minSeconds: 0, maxSeconds: 1 })
  await system.api('POST', system.generatePath(), { prompt: 'x' })
  const circuits = (...args: string[]) => operate(system.operatorEnv, ['circuits', ...args])
  const [provider = '', account = ''] = await until('its first create', async () => {
    const listed = await circuits('list')
    return listed.includes('toapis') ? listed.split('\t') : undefined
  })
  await circuits('close', provider, account)
}
