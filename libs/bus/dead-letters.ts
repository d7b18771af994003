/**
 * The dead letters: messages no consumer could handle, with their subject and the reason, kept 30
 * days, the newest ten of each subject. Putting one back stores it anew and only then removes it
 * here, so a crash in between puts it back twice, which every consumer bears.
 */
import type { StoredMsg } from 'nats'
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

/** Null when there is none under that number. */
export async function deadLetter(bus: NatsBus, sequence: number): Promise<DeadLetter | null> {
  const manager = await bus.manager()
  try {
    return toLetter(await manager.streams.getMessage(streams.dead, { seq: sequence }))
  } catch (err) {
    if (noMessage.test((err as Error).message)) return null
    throw err
  }
}

/** All of them, oldest first. */
export async function deadLetters(bus: NatsBus): Promise<DeadLetter[]> {
  const manager = await bus.manager()
  const { state } = await manager.streams.info(streams.dead)
  const letters: DeadLetter[] = []
  for (
    let sequence = state.first_seq;
    state.messages > 0 && sequence <= state.last_seq;
    sequence++
  ) {
    const letter = await deadLetter(bus, sequence)
    if (letter) letters.push(letter)
  }
  return letters
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
