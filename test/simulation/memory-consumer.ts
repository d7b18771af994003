/** A durable consumer: its members take messages, and what nobody acknowledges is given again. */
import type { Message, Stream } from './memory-stream.ts'
import type { World } from './world.ts'

export interface Delivered {
  message: Message
  deliveries: number
  done: boolean
}

/** Somebody who takes messages; `room` says whether it takes another one now. */
export interface Member {
  room(): boolean
  deliver(delivered: Delivered, consumer: Consumer): void
}

export class Consumer {
  readonly filter: string
  readonly #world: World
  readonly #stream: Stream
  readonly #ackWaitMs: number
  readonly #waiting: { sequence: number; deliveries: number }[] = []
  readonly #inFlight = new Map<number, { delivered: Delivered; expiry: () => void }>()
  readonly members = new Set<Member>()

  constructor(world: World, stream: Stream, filter: string, ackWaitMs: number) {
    this.#world = world
    this.#stream = stream
    this.filter = filter
    this.#ackWaitMs = ackWaitMs
  }

  offer(sequence: number, deliveries = 0): void {
    this.#waiting.push({ sequence, deliveries })
    this.pump()
  }

  pump(): void {
    while (this.#waiting.length) {
      const ready = [...this.members].filter((member) => member.room())
      if (ready.length === 0) return
      const { sequence, deliveries } = this.#waiting.shift()!
      const message = this.#stream.messages.get(sequence)
      if (!message) continue
      const delivered: Delivered = { message, deliveries: deliveries + 1, done: false }
      this.#inFlight.set(sequence, { delivered, expiry: () => {} })
      this.working(delivered)
      this.#world.pick(ready).deliver(delivered, this)
    }
  }

  #current(delivered: Delivered): boolean {
    return (
      !delivered.done && this.#inFlight.get(delivered.message.sequence)?.delivered === delivered
    )
  }

  /** An ack removes the message whoever it comes from: acks do not fence. */
  ack({ message }: Delivered): void {
    this.#inFlight.get(message.sequence)?.expiry()
    this.#inFlight.delete(message.sequence)
    this.#stream.remove(message.sequence)
  }

  nak(delivered: Delivered, ms: number): void {
    if (!this.#current(delivered)) return
    this.#inFlight.get(delivered.message.sequence)!.expiry()
    this.#inFlight.delete(delivered.message.sequence)
    this.#world.schedule(ms, null, () =>
      this.offer(delivered.message.sequence, delivered.deliveries),
    )
  }

  working(delivered: Delivered): void {
    const entry = this.#inFlight.get(delivered.message.sequence)
    if (entry?.delivered !== delivered) return
    entry.expiry()
    entry.expiry = this.#world.schedule(this.#ackWaitMs, null, () => {
      this.#inFlight.delete(delivered.message.sequence)
      this.offer(delivered.message.sequence, delivered.deliveries)
    })
  }
}
