import { expect, it } from 'vitest'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { systemClock } from '#libs/runtime/clock.ts'
import { inTurns, Turns } from './turns.ts'

const settled = () => new Promise((resolve) => setTimeout(resolve, 20))
const never = new Promise<never>(() => {})

/** A file of that many pieces, each of which takes as long as `read` does. */
function fileOf(pieces: number, read: () => Promise<unknown>) {
  let left = pieces
  return Readable.from(
    (async function* () {
      for (; left > 0; left--) {
        await read()
        yield Buffer.from('piece')
      }
    })(),
    { objectMode: false },
  )
}
const textOf = async (file: Readable) => Buffer.concat(await file.toArray()).toString()

it('reads one user’s file while the store is silent about however many of another one’s', async () => {
  const turns = new Turns({ ...systemClock, after: () => () => {} })
  let asked = 0
  const stuck = Array.from({ length: 50 }, () =>
    inTurns(
      fileOf(1, () => (asked++, never)),
      turns,
      'a',
    ).resume(),
  )
  await settled()
  expect(asked).toBe(2)
  expect(await textOf(inTurns(fileOf(3, settled), turns, 'b'))).toBe('piecepiecepiece')
  expect(asked).toBe(2)
  for (const one of stuck) one.destroy()
})

it('holds no turn while a reader takes its time', async () => {
  const turns = new Turns({ ...systemClock, after: () => () => {} })
  const slow = Array.from({ length: 10 }, () => inTurns(fileOf(9, settled), turns, 'a'))
  for (const one of slow) await once(one, 'readable')
  expect(await textOf(inTurns(fileOf(2, settled), turns, 'a'))).toBe('piecepiece')
  for (const one of slow) one.destroy()
})

it('ends the reading of what is left before it began, and tells what breaks', async () => {
  const turns = new Turns(systemClock)
  const file = fileOf(9, settled)
  inTurns(file, turns, 'a').destroy()
  await once(file, 'close')
  const broken = fileOf(1, () => Promise.reject(new Error('gone')))
  await expect(textOf(inTurns(broken, turns, 'a'))).rejects.toThrow('gone')
  expect(await textOf(inTurns(fileOf(1, settled), turns, 'a'))).toBe('piece')
})
