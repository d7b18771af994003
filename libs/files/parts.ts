/**
 * A file in parts of one size, for a store that takes them so; and the memory in which they lie.
 * Each file has one part of its own. Others are lent to whichever files want them, so that a few
 * files go quickly, and many take little more than their own.
 */
import type { PutOptions } from './file-store.ts'
import { giveBack } from './pieces.ts'

/** Of memory, before a file is known to be larger. */
const firstBytes = 256 * 1024
/** Parts of one file on their way at once. */
const mostOfOne = 4

export interface Part {
  part: Uint8Array
  isLast: boolean
}

/**
 * What the files of a store share: parts beside one for each, and memory that was used before.
 * While any file is in work as much of it is kept as is lent: garbage of this size would wait for
 * a collection of everything.
 */
export class PartMemory {
  readonly partBytes: number
  readonly #mostUnused: number
  readonly #unused: Uint8Array[] = []
  #further: number
  #files = 0

  constructor(partBytes: number, further: number) {
    this.partBytes = partBytes
    this.#further = further
    this.#mostUnused = further
  }

  enter(): void {
    this.#files++
  }

  /** Whether the file may have one more than its own. */
  lend(): boolean {
    if (this.#further === 0) return false
    this.#further--
    return true
  }

  take(): Uint8Array {
    return this.#unused.pop() ?? Buffer.allocUnsafeSlow(this.partBytes)
  }

  leave(lent: number, unused: Uint8Array[]): void {
    this.#files--
    this.#further += lent
    if (this.#files === 0) this.#unused.length = 0
    // one file that takes long keeps no memory of those that ended
    else this.#unused.push(...unused.slice(0, this.#mostUnused - this.#unused.length))
  }
}

/** The memory of one file, until it is disposed of. */
export class FileMemory implements Disposable {
  readonly #all: PartMemory
  readonly #signal: AbortSignal
  readonly #unused: Uint8Array[] = []
  #lent = 0
  #whenFree: () => void = () => {}
  readonly #onAbort = () => this.#whenFree()

  /** `signal`: nothing of it is waited for any more. */
  constructor(all: PartMemory, signal: AbortSignal) {
    this.#all = all
    this.#signal = signal
    all.enter()
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  get partBytes(): number {
    return this.#all.partBytes
  }

  /** For the file's own part. */
  first(): Uint8Array {
    return this.#all.take()
  }

  /** For a part more. Waits for one of this file where none is lent. @throws the signal's reason */
  async next(): Promise<Uint8Array> {
    if (this.#unused.length === 0 && this.#lent < mostOfOne - 1 && this.#all.lend()) {
      this.#lent++
      return this.#all.take()
    }
    while (this.#unused.length === 0) {
      this.#signal.throwIfAborted()
      await new Promise<void>((resolve) => (this.#whenFree = resolve))
    }
    return this.#unused.pop()!
  }

  /** It was sent, and nobody reads it any more. What was not is left to the collector. */
  free(part: Uint8Array): void {
    const all = new Uint8Array(part.buffer)
    if (all.length < this.partBytes) return
    this.#unused.push(all)
    this.#whenFree()
  }

  [Symbol.dispose](): void {
    // a signal made of others is kept for as long as anybody listens to it
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#all.leave(this.#lent, this.#unused.splice(0))
    this.#lent = 0
  }
}

/**
 * Each part but the last is to be given to `memory.free`, or none comes in the end. There is one at
 * least, and only the last may be smaller. @throws the signal's reason, or what `body` throws
 */
export async function* inParts(
  body: AsyncIterable<Uint8Array>,
  memory: FileMemory,
  { signal, givesUp = false }: Pick<PutOptions, 'signal' | 'givesUp'>,
): AsyncGenerator<Part> {
  const { partBytes } = memory
  let part: Uint8Array = Buffer.allocUnsafeSlow(Math.min(firstBytes, partBytes))
  let filled = 0
  for await (const piece of body) {
    signal?.throwIfAborted()
    for (let at = 0; at < piece.length;) {
      if (filled === partBytes) {
        yield { part, isLast: false }
        part = await memory.next()
        filled = 0
      }
      if (filled === part.length) part = larger(part, memory)
      const some = piece.subarray(at, at + part.length - filled)
      part.set(some, filled)
      filled += some.length
      at += some.length
    }
    if (givesUp) giveBack(piece)
  }
  signal?.throwIfAborted()
  yield { part: part.subarray(0, filled), isLast: true }
}

function larger(part: Uint8Array, memory: FileMemory): Uint8Array {
  const bytes = 4 * part.length
  const next = bytes < memory.partBytes ? Buffer.allocUnsafeSlow(bytes) : memory.first()
  next.set(part)
  giveBack(part)
  return next
}
