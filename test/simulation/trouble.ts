/** What goes wrong in a world, by chance: at most one thing every half second. */
import { streams } from '#libs/bus/streams.ts'
import type { VideoEvent } from '#libs/scene-video/messages.ts'
import type { StoreCopy } from './rows.ts'
import type { Simulation } from './simulation.ts'
import { fileStrikePoints, strikePoints } from './statements.ts'

/** As runService has it. */
const stopWithinMs = 20_000

const rare = ['wipe', 'restore']

export class Trouble {
  readonly #of: Simulation
  #copy: StoreCopy | undefined

  constructor(simulation: Simulation) {
    this.#of = simulation
  }

  begin(): void {
    const { world } = this.#of
    const faults = this.#faults()
    const next = () => {
      if (this.#of.calm) return
      const kind = world.chance(0.04)
        ? world.pick(rare)
        : world.pick(Object.keys(faults).filter((one) => !rare.includes(one)))
      this.#of.faults[kind] = (this.#of.faults[kind] ?? 0) + 1
      world.note(`fault ${kind}`)
      faults[kind]!()
      world.schedule(world.between(500, 20_000), null, next)
    }
    world.schedule(3_000, null, next)
    this.#takeCopies()
  }

  #faults(): Record<string, () => void> {
    const simulation = this.#of
    const { world, broker, names, files } = simulation
    const one = () => simulation.running.get(world.pick(names))!
    const points = files ? [...strikePoints, ...fileStrikePoints] : strikePoints
    return {
      ...this.#faultsOfFiles(),
      kill: () => simulation.kill(world.pick(names), world.between(100, 15_000)),
      pause: () => simulation.pause(one().process),
      strike: () => (simulation.strikeAt = world.pick(points)),
      isolate: () => {
        const { process } = one()
        process.isolated = true
        world.schedule(world.between(100, 15_000), null, () => (process.isolated = false))
      },
      stop: () => {
        const { process, part } = one()
        if (!part) return
        const end = () => void (process.alive && simulation.kill(process.name, 500))
        part[Symbol.asyncDispose]().then(end, end)
        world.schedule(stopWithinMs, null, end)
      },
      brokerDown: () => {
        broker.isUp = false
        world.schedule(world.between(100, 20_000), null, () => simulation.brokerBack())
      },
      storeDown: () => {
        simulation.storeDown = true
        world.schedule(world.between(100, 20_000), null, () => (simulation.storeDown = false))
      },
      leap: () => simulation.leapAtCreate(),
      restore: () => this.#restore(),
      rewind: () => {
        broker.isUp = false
        broker.rewind(world.chance(0.5) ? world.between(50, 1_500) : world.between(1_500, 30_000))
        simulation.laws.rewound(broker.contentOf(streams.outbox))
        world.schedule(world.between(100, 5_000), null, () => simulation.brokerBack())
      },
      wipe: () => {
        broker.wipe()
        simulation.laws.streamLost()
      },
    }
  }

  #faultsOfFiles(): Record<string, () => void> {
    const { world, files } = this.#of
    if (!files) return {}
    const are = (state: 'away' | 'full', longestMs: number) => {
      files.are = state
      const ms = world.between(100, world.chance(0.2) ? 10 * longestMs : longestMs)
      world.schedule(ms, null, () => (files.are = 'up'))
    }
    return { filesAway: () => are('away', 30_000), filesFull: () => are('full', 60_000) }
  }

  #restore(): void {
    if (!this.#copy || this.#of.isRestoring) return
    restoreFrom(this.#of, this.#copy)
    this.#copy = undefined
  }

  #takeCopies(): void {
    const { world, store } = this.#of
    world.schedule(world.between(10_000, 40_000), null, () => {
      if (this.#of.storeUp) this.#copy = store.copy()
      if (!this.#of.calm) this.#takeCopies()
    })
  }
}

/**
 * Everything is stopped, Postgres goes back to the copy, the operator's command is run, everything
 * is started.
 */
export function restoreFrom(simulation: Simulation, copy: StoreCopy): void {
  const { world, store, broker, laws, accepted, names } = simulation
  simulation.isRestoring = true
  for (const name of names) simulation.kill(name, world.between(6_000, 10_000))
  world.schedule(5_000, null, () => {
    const published = new Map<string, number>()
    const content = broker.contentOf(streams.outbox)
    for (const message of content) {
      const { id, version } = JSON.parse(new TextDecoder().decode(message.data)) as VideoEvent
      published.set(id, Math.max(published.get(id) ?? 0, version))
    }
    const generation = content.length ? broker.stream(streams.ownership).generation : 0
    store.restore(copy, published, generation)
    laws.restored()
    simulation.files?.laws.restored()
    accepted.splice(0, Infinity, ...accepted.filter((id) => store.videos.has(id)))
    simulation.isRestoring = false
  })
}
