/** Circuits in tests whose faults are meant for single videos. */
import { operate } from './operate.ts'
import { until, type System } from './system.ts'

/** Holds the circuit of the system's account at a provider closed, by the operator's command. */
export async function holdClosed(system: System, provider: string): Promise<void> {
  const circuits = (...args: string[]) => operate(system.operatorEnv, ['circuits', ...args])
  await until(`the circuit of ${provider} to be held closed`, async () => {
    const listed = (await circuits('list')).split('\n').map((line) => line.split('\t'))
    const account = listed.find(([name]) => name === provider)?.[1]
    if (account === undefined) return undefined // no create was sent there yet
    return circuits('close', provider, account)
  })
}

/** Has the creates that wait for the circuits of accounts at `host` sent now, by command. */
export async function resetCircuits(system: System, host: string): Promise<void> {
  const circuits = (...args: string[]) => operate(system.operatorEnv, ['circuits', ...args])
  for (const line of (await circuits('list')).split('\n')) {
    const [provider = '', account = '', where] = line.split('\t')
    if (where === host) await circuits('reset', provider, account)
  }
}

/** Starts it, with the circuit of the system's account at the usual provider held closed. */
export async function startWithoutCircuit(system: System): Promise<void> {
  await system.start()
  await system.simulate({ minSeconds: 0, maxSeconds: 1 })
  await system.submit({ prompt: 'x' })
  await holdClosed(system, 'toapis')
}
