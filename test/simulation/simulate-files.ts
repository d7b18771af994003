/**
 * One world of finished videos from its seed to the verdict: videos and faults for so long, then
 * rest, then the laws.
 */
import { archivers, FileSimulation } from './file-simulation.ts'

export interface FileOutcome {
  seed: number
  steps: number
  hash: number
  videos: number
  stored: number
  lost: number
  faults: Record<string, number>
  virtualSeconds: number
  broken: string | undefined
  log: readonly string[]
}

/** A link without a date is believed dead after half an hour, and the last wait is ten minutes. */
const restMs = 2 * 3_600_000
const strikes = [
  'claim',
  'put',
  'put',
  'stored',
  'stored',
  'failed',
  'lost',
  'renewed',
  'adopt',
  'markPublished',
]

function trouble(simulation: FileSimulation): { stop(): void; faults: Record<string, number> } {
  const { world, laws, broker } = simulation
  let isOver = false
  const counts: Record<string, number> = {}
  const one = () => world.pick(archivers)
  /** Something is away for that long. */
  const away = (longestMs: number, back: () => void) => {
    const ms = world.between(100, longestMs)
    laws.troubled(ms)
    world.schedule(ms, null, back)
  }
  const faults: Record<string, () => void> = {
    kill: () => simulation.kill(one(), world.between(100, 15_000)),
    pause: () => {
      const { process } = simulation.running.get(one())!
      process.pause(world.chance(0.5))
      away(world.chance(0.3) ? 100_000 : 20_000, () => process.resume())
    },
    strike: () => (simulation.strikeAt = world.pick(strikes)),
    isolate: () => {
      const { process } = simulation.running.get(one())!
      process.isolated = true
      away(60_000, () => (process.isolated = false))
    },
    stop: () => {
      const { process, part } = simulation.running.get(one())!
      const end = () => void (process.alive && simulation.kill(process.name, 500))
      part?.[Symbol.asyncDispose]().then(end, end)
      away(20_000, end)
    },
    brokerDown: () => {
      broker.isUp = false
      away(20_000, () => simulation.brokerBack())
    },
    storeDown: () => {
      simulation.storeUp = false
      away(world.chance(0.2) ? 180_000 : 20_000, () => (simulation.storeUp = true))
    },
    filesAway: () => {
      simulation.filesAre = 'away'
      away(world.chance(0.2) ? 1_200_000 : 30_000, () => (simulation.filesAre = 'up'))
    },
    filesFull: () => {
      simulation.filesAre = 'full'
      away(world.chance(0.2) ? 2_400_000 : 60_000, () => (simulation.filesAre = 'up'))
    },
  }
  const next = () => {
    if (isOver) return
    const kind = world.pick(Object.keys(faults))
    counts[kind] = (counts[kind] ?? 0) + 1
    world.note(`fault ${kind}`)
    faults[kind]!()
    world.schedule(world.between(500, 60_000), null, next)
  }
  world.schedule(3_000, null, next)
  return { stop: () => (isOver = true), faults: counts }
}

function demand(simulation: FileSimulation, most: number): void {
  const { world } = simulation
  const next = () => {
    simulation.complete()
    if (simulation.store.videos.size < most)
      world.schedule(world.between(10, world.chance(0.1) ? 120_000 : 5_000), null, next)
  }
  world.schedule(1_000, null, next)
}

const videosOfAWorld = 30

/** Whether no law was broken; each breach is printed, and with `trace` what led to it. */
export async function manyFiles(options: {
  first: number
  count: number
  trace?: boolean
  stop?: boolean
}): Promise<boolean> {
  const { first, count, trace = false, stop = false } = options
  let isKept = true
  for (let seed = first; seed < first + (trace ? 1 : count) && (isKept || !stop); seed++) {
    const { log, ...outcome } = await simulateFiles({ seed, keepLog: trace })
    if (trace) process.stdout.write(`${log.join('\n')}\n${JSON.stringify(outcome)}\n`)
    if (outcome.broken) process.stdout.write(`files, seed ${seed}: law ${outcome.broken}\n`)
    isKept &&= outcome.broken === undefined
  }
  process.stdout.write(isKept ? 'no law broken\n' : 'once more with: --files --seed S --trace\n')
  return isKept
}

export async function simulateFiles(options: {
  seed: number
  keepLog?: boolean
}): Promise<FileOutcome> {
  const simulation = new FileSimulation(options.seed, options.keepLog ?? false)
  const { world, laws, store } = simulation
  demand(simulation, videosOfAWorld)
  const { stop, faults } = trouble(simulation)
  const until = world.between(300_000, 3_600_000)
  while (!laws.broken && (world.now < until || store.videos.size < videosOfAWorld))
    await world.step()
  stop()
  simulation.heal()
  const restBy = world.now + restMs
  while (!laws.broken && world.now < restBy && !simulation.allEnded()) await world.step()
  if (!laws.broken) laws.atRest()
  const states = [...store.files.rows.values()].map(({ state }) => state)
  return {
    seed: options.seed,
    steps: world.steps,
    hash: world.hash >>> 0,
    videos: store.videos.size,
    stored: states.filter((state) => state === 'stored').length,
    lost: states.filter((state) => state === 'lost').length,
    faults,
    virtualSeconds: Math.round(world.now / 1_000),
    broken: laws.broken?.message,
    log: world.log,
  }
}
