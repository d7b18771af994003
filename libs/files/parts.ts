/** A file in parts of one size, for a store that takes them so. */
import type { PutOptions } from './file-store.ts'
import { giveBack } from './pieces.ts'

/** Of memory, before a file is known to be larger. */
const firstBytes = 256 * 1024

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
  let memory = Buffer.allocUnsafeSlow(Math.min(firstBytes, partBytes))
  let filled = 0
  for await (const piece of body) {
    signal?.throwIfAborted()
    for (let at = 0; at < piece.length;) {
      if (filled === partBytes) {
        yield { part: memory, isLast: false }
        filled = 0
      }
      if (filled === memory.length) memory = larger(memory, partBytes)
      const some = piece.subarray(at, at + memory.length - filled)
      memory.set(some, filled)
      filled += some.length
      at += some.length
    }
    if (givesUp) giveBack(piece)
  }
  signal?.throwIfAborted()
  yield { part: memory.subarray(0, filled), isLast: true }
}

function larger(memory: Buffer<ArrayBuffer>, most: number): Buffer<ArrayBuffer> {
  const next = Buffer.allocUnsafeSlow(Math.min(4 * memory.length, most))
  next.set(memory)
  giveBack(memory)
  return next
}
