/**
 * A stream of the simulation's broker: with limits or as a work queue, an expected last sequence
 * per subject, one message per subject where a queue has it so, and a way back to an earlier
 * instant.
 */
import { AlreadyQueued, Conflict, type Stored, type StoreOptions } from '#libs/bus/bus.ts'
import { streams } from '#libs/bus/streams.ts'

export interface Message {
  subject: string
  sequence: number
  data: Uint8Array
  headers: Record<string, string>
}

export const toStored = ({ subject, sequence, data, headers }: Message): Stored => ({
  subject,
  sequence,
  data,
  header: (name) => headers[name],
})

interface StreamRules {
  acceptsClaims(subject: string): boolean
  workQueue: boolean
  onePerSubject: 'newest' | 'first' | null
}

export const rules: Record<string, StreamRules> = {
  [streams.outbox]: {
    acceptsClaims: (subject) => subject.startsWith('video.out.'),
    workQueue: false,
    onePerSubject: null,
  },
  [streams.work]: {
    acceptsClaims: (subject) => subject.startsWith('video.work.'),
    workQueue: true,
    onePerSubject: 'first',
  },
  [streams.reports]: {
    acceptsClaims: (subject) => subject.startsWith('video.report.'),
    workQueue: true,
    onePerSubject: null,
  },
  [streams.dead]: {
    acceptsClaims: (subject) => subject.startsWith('video.dead.'),
    workQueue: false,
    onePerSubject: null,
  },
  [streams.ownership]: {
    acceptsClaims: (subject) => subject.startsWith('$KV.'),
    workQueue: false,
    onePerSubject: 'newest',
  },
}
/** Whether a subject fits a filter with `*` and `>`. */
export function fits(subject: string, filter: string): boolean {
  if (subject === filter) return true
  const tokens = subject.split('.')
  const wanted = filter.split('.')
  for (const [i, want] of wanted.entries()) {
    if (want === '>') return tokens.length > i
    if (tokens[i] === undefined || (want !== '*' && want !== tokens[i])) return false
  }
  return tokens.length === wanted.length
}

export class Stream {
  readonly rules: StreamRules
  readonly bornAt: number
  readonly generation: number
  readonly messages = new Map<number, Message>()
  readonly #newest = new Map<string, number>()
  readonly #now: () => number
  /** How to take the latest changes back, oldest first. */
  readonly #undo: { at: number; act: () => void }[] = []
  #next: number

  constructor(name: string, generation: number, now: () => number) {
    this.rules = rules[name]!
    this.generation = generation
    this.#now = now
    this.bornAt = now()
    this.#next = name === streams.ownership || name === streams.outbox ? generation * 2 ** 32 : 1
  }

  get lastSequence(): number {
    return this.#next - 1
  }

  /**
   * Its power failed: what it stored and removed since then was acknowledged, and is not so any
   * more.
   */
  rewind(to: number): void {
    while (this.#undo.length && this.#undo.at(-1)!.at > to) this.#undo.pop()!.act()
  }

  #remember(...subjects: string[]): void {
    const next = this.#next
    const newest = subjects.map((subject) => [subject, this.#newest.get(subject)] as const)
    const kept = newest.map(([, sequence]) =>
      sequence === undefined ? undefined : this.messages.get(sequence),
    )
    this.#undo.push({
      at: this.#now(),
      act: () => {
        for (let sequence = next; sequence < this.#next; sequence++) this.messages.delete(sequence)
        this.#next = next
        for (const message of kept) if (message) this.messages.set(message.sequence, message)
        for (const [subject, sequence] of newest) {
          if (sequence === undefined) this.#newest.delete(subject)
          else this.#newest.set(subject, sequence)
        }
      },
    })
    if (this.#undo.length > 5_000) this.#undo.shift()
  }

  newest(filter: string): Message | null {
    const known = filter.includes('*')
      ? this.#newest.get(lastToken(filter))
      : this.#newest.get(filter)
    return known === undefined ? null : (this.messages.get(known) ?? null)
  }

  newestOfEach(filter: string): Message[] {
    const found = new Map<string, Message>()
    for (const message of this.messages.values())
      if (fits(message.subject, filter)) found.set(message.subject, message)
    return [...found.values()]
  }

  add(subject: string, data: Uint8Array, { headers = {}, expect }: StoreOptions): Message {
    if (expect && (this.newest(expect.subject ?? subject)?.sequence ?? 0) !== expect.sequence)
      throw new Conflict(subject)
    if (this.rules.onePerSubject === 'first' && this.newest(subject))
      throw new AlreadyQueued(subject)
    this.#remember(subject, lastToken(subject))
    const message = { subject, sequence: this.#next++, data, headers }
    if (this.rules.onePerSubject === 'newest') {
      const old = this.newest(subject)
      if (old) this.messages.delete(old.sequence)
    }
    this.messages.set(message.sequence, message)
    this.#newest.set(subject, message.sequence)
    if (!this.rules.onePerSubject) this.#newest.set(lastToken(subject), message.sequence)
    return message
  }

  remove(sequence: number): void {
    const message = this.messages.get(sequence)
    if (message) this.#remember(message.subject)
    this.messages.delete(sequence)
    if (message && this.#newest.get(message.subject) === sequence)
      this.#newest.delete(message.subject)
  }
}

/** Wildcards are asked only for "whatever happened to this video", whose id is the last token. */
const lastToken = (subject: string) => `*.${subject.slice(subject.lastIndexOf('.') + 1)}`
