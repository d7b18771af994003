/**
 * The dead letters: messages no consumer could handle, with their subject and the reason, kept 30
 * days, the newest ten of each subject. Putting one back stores it anew and only then removes it
 * here, so a crash in between puts it back twice, which every consumer bears.
 */
import type { MsgRequest, StoredMsg } from 'nats'
import { AlreadyQueued } from './bus.ts'
import type { NatsBus } from './connect.ts'
import { streams } from './streams.ts'

export const deadHeaders = {
  subject: 'Reelkeeper-Subject',
  reason: 'Reelkeeper-Reason',
  truncated: 'Reelkeeper-Truncated',
} as const

export interface DeadLetter {
  sequence: number
  /** ISO 8601, of its death. */
  at: string
  subject: string
  reason: string
  data: Uint8Array
  /** Its size when it was too large to be kept whole; such a letter cannot be put back. */
  truncatedFrom: number | null
}

const noMessage = /no message found|10037/

const toLetter = (message: StoredMsg): DeadLetter => ({
  sequence: message.seq,
  at: message.timestamp,
  subject: message.header.get(deadHeaders.subject),
  reason: message.header.get(deadHeaders.reason),
  data: message.data,
  truncatedFrom: Number(message.header.get(deadHeaders.truncated)) || null,
})

/** Null when the stream has no such message. */
async function ask(bus: NatsBus, query: MsgRequest): Promise<DeadLetter | null> {
  const manager = await bus.manager()
  try {
    return toLetter(await manager.streams.getMessage(streams.dead, query))
  } catch (err) {
    if (noMessage.test((err as Error).message)) return null
    throw err
  }
}

/** Null when there is none under that number. */
export const deadLetter = (bus: NatsBus, sequence: number): Promise<DeadLetter | null> =>
  ask(bus, { seq: sequence })

/** All of them, oldest first; of what there is no more between them, nothing is asked. */
export async function deadLetters(bus: NatsBus): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  for (let next = 1; ;) {
    // the first one from there on: the server knows it, the client's type does not
    const query = { seq: next, next_by_subj: '>' }
    const letter = await ask(bus, query)
    if (!letter) return letters
    letters.push(letter)
    next = letter.sequence + 1
  }
}

/**
 * `queued already`: a job of the same kind for the same video is queued, so there is nothing to put
 * back; the letter stays.
 */
export async function putBack(
  bus: NatsBus,
  letter: DeadLetter,
): Promise<'put back' | 'queued already' | 'truncated'> {
  if (letter.truncatedFrom !== null) return 'truncated'
  try {
    await bus.store(letter.subject, letter.data)
  } catch (err) {
    if (err instanceof AlreadyQueued) return 'queued already'
    throw err
  }
  await discard(bus, letter.sequence)
  return 'put back'
}

/** False when there was none. */
export async function discard(bus: NatsBus, sequence: number): Promise<boolean> {
  const manager = await bus.manager()
  try {
    return await manager.streams.deleteMessage(streams.dead, sequence, false)
  } catch (err) {
    if (/no message found|10037|10057/.test((err as Error).message)) return false
    throw err
  }
}
