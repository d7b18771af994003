/** A file in parts of one size, for a store that takes them so. */
import type { PutOptions } from './file-store.ts'
import { giveBack } from './give-back.ts'

export interface Part {
  part: Uint8Array
  isLast: boolean
}

/**
 * Each is valid until the next is asked for: all lie in the same memory. There is one at least,
 * and only the last may be smaller. @throws the signal's reason, or what `body` throws
 */
export async function* inParts(
  body: AsyncIterable<Uint8Array>,
  partBytes: number,
  { signal, givesUp = false }: Pick<PutOptions, 'signal' | 'givesUp'>,
): AsyncGenerator<Part> {
  const memory = Buffer.allocUnsafeSlow(partBytes)
  let filled = 0
  for await (const piece of body) {
    signal?.throwIfAborted()
    for (let at = 0; at < piece.length;) {
      if (filled === partBytes) {
        yield { part: memory, isLast: false }
        filled = 0
      }
      const some = piece.subarray(at, at + partBytes - filled)
      memory.set(some, filled)
      filled += some.length
      at += some.length
    }
    if (givesUp) giveBack(piece)
  }
  signal?.throwIfAborted()
  yield { part: memory.subarray(0, filled), isLast: true }
}
