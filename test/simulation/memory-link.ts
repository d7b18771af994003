/** One process' connection to the broker in memory: what passes, what is lost, and when it ends. */
import { AlreadyQueued, BusUnavailable, Conflict } from '#libs/bus/bus.ts'
import type { Broker } from './memory-broker.ts'
import { call, delayOf, type Process, type Weather } from './world.ts'

export class Link {
  readonly process: Process
  readonly broker: Broker
  readonly weather: Weather
  /**
   * The connection ends with the server's life, and what is on its way with it; there is another
   * once this process has noticed.
   */
  #life: number

  constructor(process: Process, broker: Broker, weather: Weather) {
    this.process = process
    this.broker = broker
    this.weather = weather
    this.#life = broker.life
  }

  isUp(): boolean {
    return this.broker.isUp && this.#life === this.broker.life
  }

  /** False when it was the present one already. */
  renew(): boolean {
    const isNew = this.#life !== this.broker.life
    this.#life = this.broker.life
    return isNew
  }

  #stillUp(): () => boolean {
    const sent = this.#life
    return () => this.broker.isUp && sent === this.broker.life
  }

  rpc<T>(timeoutMs: number, execute: () => T): Promise<T> {
    const { process, weather } = this
    const fail = () => new BusUnavailable('no answer')
    return call(process, { weather, timeoutMs, isUp: this.#stillUp(), fail }, () => {
      try {
        return execute()
      } catch (err) {
        throw err instanceof Conflict || err instanceof AlreadyQueued
          ? err
          : new BusUnavailable((err as Error).message)
      }
    })
  }

  /** One way, broker to process. */
  toProcess(act: () => void): void {
    const { process, weather } = this
    const { world } = process
    if (!this.isUp() || process.isolated || !process.alive || world.chance(weather.loss)) return
    world.schedule(delayOf(world, weather), process, act)
  }

  /** One way, process to broker; lost when the broker is away. */
  toBroker(act: () => void, lost = this.weather.loss): void {
    const { world, isolated } = this.process
    if (isolated || world.chance(lost)) return
    const arrives = this.#stillUp()
    world.schedule(delayOf(world, this.weather), null, () => arrives() && act())
  }
}
