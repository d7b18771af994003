/** What one process of a simulation has in hand, and the service it is. */
import type { Poller } from '#services/poller/poller.ts'
import {
  composePoller,
  composeReconciler,
  composeStatus,
  composeSubmit,
  logOf,
  type Parts,
} from './compose.ts'
import type { MemoryBus } from './memory-bus.ts'
import { fileProviders } from './memory-file-host.ts'
import type { MemoryProvider } from './memory-provider.ts'
import { remote } from './remote.ts'
import type { Statement } from './statements.ts'
import type { WorldFiles } from './world-files.ts'
import type { Process } from './world.ts'

/** The world that they are of. */
type PartsOf = Parts['world'] & {
  readonly provider: MemoryProvider
  readonly files: WorldFiles | null
  readonly queriesPerSecond: number
  readonly storeUp: boolean
  onDone(method: Statement, process: Process): void
  onPoll(process: Process, taskId: string): void
}

interface Begun {
  part: AsyncDisposable
  poller?: Poller
}

export function partsOf(
  simulation: PartsOf,
  { process, bus }: { process: Process; bus: MemoryBus },
): Parts & { archive(): AsyncDisposable } {
  const { weather, store, provider, queriesPerSecond, files } = simulation
  const reach = <T extends object>(target: T) =>
    remote(process, target, {
      weather,
      isUp: () => simulation.storeUp,
      onDone: (method) => simulation.onDone(method as Statement, process),
    })
  const onPoll = (taskId: string) => simulation.onPoll(process, taskId)
  const ports = Object.fromEntries(
    fileProviders.map((name) => [name, provider.port(name, { process, weather, onPoll })]),
  )
  const parts: Parts = {
    process,
    bus,
    log: logOf(process),
    store: reach(store),
    providers: { of: (name) => ports[name] ?? null },
    queriesPerSecond,
    world: simulation,
  }
  const onPut = () => simulation.onDone('put', process)
  const archive = () => files!.compose({ ...parts, records: reach(store.files), weather, onPut })
  return { ...parts, archive }
}

/** The service by its process' name. */
export async function compose(parts: ReturnType<typeof partsOf>): Promise<Begun> {
  const { name } = parts.process
  if (name.startsWith('submit')) return { part: await composeSubmit(parts) }
  if (name.startsWith('status')) return { part: await composeStatus(parts) }
  if (name.startsWith('archiver')) return { part: parts.archive() }
  if (name === 'reconciler') return { part: composeReconciler(parts) }
  const poller = await composePoller(parts)
  return { part: poller, poller }
}
