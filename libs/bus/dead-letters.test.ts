import { expect, it } from 'vitest'
import type { NatsBus } from './connect.ts'
import { deadLetters } from './dead-letters.ts'

/** A stream with these sequences; what it is asked for is noted. */
function streamOf(sequences: number[], asked: object[]): NatsBus {
  const getMessage = async (_stream: string, query: { seq: number; next_by_subj?: string }) => {
    asked.push(query)
    const seq = sequences.find((one) =>
      query.next_by_subj === undefined ? one === query.seq : one >= query.seq,
    )
    if (seq === undefined) throw new Error('no message found')
    return { seq, timestamp: '', header: { get: () => '' }, data: new Uint8Array() }
  }
  const state = { first_seq: sequences[0] ?? 0, last_seq: sequences.at(-1) ?? 0 }
  const info = async () => ({ state: { ...state, messages: sequences.length } })
  const bus: unknown = { manager: async () => ({ streams: { getMessage, info } }) }
  return bus as NatsBus
}

it('asks once for each letter, and not for the thousands that are gone between them', async () => {
  const asked: object[] = []
  const letters = await deadLetters(streamOf([1, 9_000, 9_001], asked))
  expect(letters.map((one) => one.sequence)).toEqual([1, 9_000, 9_001])
  expect(asked).toHaveLength(4)
  expect(await deadLetters(streamOf([], []))).toEqual([])
})
