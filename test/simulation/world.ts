/**
 * A world with its own time and chance: a queue of events, run one after another. What a process
 * waits for (a timer, an answer, a message) is such an event, so a process can be paused or killed
 * between any two of them. The same seed gives the same run.
 */
import type { Clock } from '#libs/runtime/clock.ts'

interface Event {
  at: number
  order: number
  process: Process | null
  act: () => void
}

/** Mulberry32: small, fast, good enough to choose faults. */
export function generator(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export class World {
  now = 0
  steps = 0
  readonly random: () => number
  /** FNV-1a over everything noted: equal traces, equal hashes. */
  hash = 2_166_136_261
  readonly #log: string[] | null
  #heap: Event[] = []
  #order = 0

  constructor(seed: number, keepLog = false) {
    this.random = generator(seed)
    this.#log = keepLog ? [] : null
  }

  get log(): readonly string[] {
    return this.#log ?? []
  }

  note(text: string): void {
    const line = `${this.now.toFixed(3)} ${text}`
    for (let i = 0; i < line.length; i++)
      this.hash = Math.imul(this.hash ^ line.charCodeAt(i), 16_777_619)
    this.#log?.push(line)
  }

  get keepsLog(): boolean {
    return this.#log !== null
  }

  /** Only in a kept trace, and no part of its hash. */
  remark(text: string): void {
    this.#log?.push(`${this.now.toFixed(3)}   ${text}`)
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.random()
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)]!
  }

  uuid(): string {
    const hex = Array.from({ length: 32 }, () => Math.floor(this.random() * 16).toString(16))
    hex[12] = '4'
    hex[16] = '8'
    return hex.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }

  /**
   * Runs `act` after `ms`: as part of a process that must be alive and awake, or of the world
   * itself. Returns its taking back.
   */
  schedule(ms: number, process: Process | null, act: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, ms), order: this.#order++, process, act }
    this.#push(event)
    return () => {
      event.act = () => {}
      event.process = null
    }
  }

  /** One event, and everything that follows from it without waiting. False when nothing is left. */
  async step(): Promise<boolean> {
    const event = this.#pop()
    if (!event) return false
    this.now = Math.max(this.now, event.at)
    const { process } = event
    if (process && !process.alive) return true
    if (process?.paused) {
      process.backlog.push(event)
      return true
    }
    this.steps++
    event.act()
    await new Promise((resolve) => setImmediate(resolve))
    return true
  }

  #before(a: Event, b: Event): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #push(event: Event): void {
    const heap = this.#heap
    let i = heap.push(event) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#before(event, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = event
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (!top || !last || heap.length === 0) return top
    let i = 0
    for (;;) {
      let least = 2 * i + 1
      if (least >= heap.length) break
      if (least + 1 < heap.length && this.#before(heap[least + 1]!, heap[least]!)) least++
      if (!this.#before(heap[least]!, last)) break
      heap[i] = heap[least]!
      i = least
    }
    heap[i] = last
    return top
  }
}

/** One run of a program. Killed, it never acts again; paused, everything that reaches it waits. */
export class Process {
  readonly world: World
  readonly name: string
  readonly clock: Clock
  alive = true
  paused = false
  /** Cut off from broker and store, without knowing. */
  isolated = false
  backlog: Event[] = []
  #pausedAt = 0
  #isSuspended = false
  /** For how long its machine was suspended. */
  #suspendedMs = 0

  constructor(world: World, name: string) {
    this.world = world
    this.name = name
    this.clock = {
      now: () => world.now,
      after: (ms, act) => this.#after(ms, act),
      random: world.random,
      uuid: () => world.uuid(),
    }
  }

  /** As a real one's: its clock goes on while its machine is suspended, its timers do not. */
  #after(ms: number, act: () => void): () => void {
    let before = this.#suspendedMs
    const fire = () => {
      const missedMs = this.#suspendedMs - before
      before = this.#suspendedMs
      if (missedMs === 0) return act()
      cancel = this.world.schedule(missedMs, this, fire)
    }
    let cancel = this.world.schedule(ms, this, fire)
    return () => cancel()
  }

  /** Suspended, it is its whole machine that stands still. */
  pause(isSuspended = false): void {
    this.paused = true
    this.#pausedAt = this.world.now
    this.#isSuspended = isSuspended
  }

  resume(): void {
    if (this.paused && this.#isSuspended) this.#suspendedMs += this.world.now - this.#pausedAt
    this.paused = false
    const backlog = this.backlog
    this.backlog = []
    // unless taken back meanwhile
    for (const event of backlog) this.world.schedule(0, this, () => event.act())
  }

  kill(): void {
    this.alive = false
    this.backlog = []
  }
}

/** How a network treats messages. Times are milliseconds. */
export interface Weather {
  /** Share of messages lost. */
  loss: number
  /** Share of messages delayed by up to `longest`; the others take a few milliseconds. */
  slow: number
  longest: number
  /** Share of core messages lost beside `loss`: nobody repeats them. */
  nudgesLost?: number
}

export const delayOf = (world: World, weather: Weather): number =>
  world.chance(weather.slow) ? world.between(1, weather.longest) : world.between(0.2, 4)

/**
 * A call over the network: carried out at most once, perhaps later than the caller waits, and its
 * answer may be lost. `execute` throws what the server answers; `fail` makes what the caller gets
 * when it hears nothing in time.
 */
export function call<T>(
  process: Process,
  options: { weather: Weather; timeoutMs: number; isUp(): boolean; fail(): Error },
  execute: () => T | Promise<T>,
): Promise<T> {
  const { world } = process
  const { weather, timeoutMs, isUp, fail } = options
  return new Promise<T>((resolve, reject) => {
    const cancel = world.schedule(timeoutMs, process, () => reject(fail()))
    const answer = (act: () => void) => {
      if (process.isolated || world.chance(weather.loss)) return
      world.schedule(delayOf(world, weather), process, () => {
        cancel()
        act()
      })
    }
    if (process.isolated || world.chance(weather.loss)) return
    world.schedule(delayOf(world, weather), null, () => {
      if (!isUp()) return answer(() => reject(fail()))
      void (async () => execute())().then(
        (result) => answer(() => resolve(result)),
        (err: unknown) => answer(() => reject(err as Error)),
      )
    })
  })
}
