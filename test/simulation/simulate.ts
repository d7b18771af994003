/**
 * One world from its seed to the verdict: users and faults for so many steps, then rest, then the
 * laws.
 */
import { streams } from '#libs/bus/streams.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import type { Bounds } from './lateness.ts'
import { Simulation } from './simulation.ts'
import { demand } from './tenants.ts'
import { Trouble } from './trouble.ts'

export interface Outcome {
  seed: number
  steps: number
  hash: number
  videos: number
  ended: number
  /** Files. */
  stored: number
  lost: number
  faults: Record<string, number>
  virtualSeconds: number
  /** Simulated seconds from the last fault to the end of the last video. */
  restSeconds: number
  /** The longest that each kind of promise was due with nothing in its way, in milliseconds. */
  late: Bounds
  broken: string | undefined
  log: readonly string[]
}

/**
 * For everything to end once nothing is in the way: two passes of the reconciler. The longest seen
 * in 25 million steps was 164 s.
 */
const restMs = 240_000
/** A link without a date is believed dead late, and the last wait is ten minutes. */
const fileRestMs = 2 * 3_600_000
/** What was lost by a rewind is looked for again this long after it. */
const markTimeoutMs = 30_000

export async function simulate(options: {
  seed: number
  steps: number
  keepLog?: boolean
}): Promise<Outcome> {
  // in a third of the worlds
  const limits = options.seed % 3 === 1 ? { parallelTasks: 4 } : {}
  const simulation = new Simulation(options.seed, options.keepLog ?? false, {
    ...limits,
    // in half of them
    keepsFiles: (options.seed + 1) % 4 < 2,
  })
  const { world, laws } = simulation
  demand(simulation, simulation.userBus)
  new Trouble(simulation).begin()
  while (world.steps < options.steps && !laws.broken) await world.step()
  simulation.heal()
  const healedAt = world.now
  const rest = async (ms: number, isOver: () => boolean) => {
    while (!laws.broken && world.now < healedAt + ms && !isOver()) await world.step()
  }
  await rest(restMs, () => world.now > healedAt + markTimeoutMs && simulation.allEnded())
  const restedAt = world.now
  simulation.leaveToArchivers()
  await rest(fileRestMs, () => simulation.allKept() && simulation.allEnded())
  if (!laws.broken) laws.atRest(simulation.accepted, simulation.broker.contentOf(streams.outbox))
  if (!laws.broken) simulation.files?.laws.atRest()
  const states = Object.groupBy(simulation.store.files.rows.values(), ({ state }) => state)
  return {
    seed: options.seed,
    steps: world.steps,
    hash: world.hash >>> 0,
    videos: simulation.accepted.length,
    faults: simulation.faults,
    virtualSeconds: Math.round(world.now / 1000),
    restSeconds: Math.round((restedAt - healedAt) / 1000),
    stored: states.stored?.length ?? 0,
    lost: states.lost?.length ?? 0,
    ended: simulation.accepted.filter((id) => isTerminal(simulation.store.videos.get(id)!.status))
      .length,
    late: simulation.lateness.most,
    broken: laws.broken?.message,
    log: world.log,
  }
}
