/** Pieces of files on their way through memory. */

/** Of memory, beside its bytes: a host may send one at a time. */
export const pieceCosts = 512

/**
 * Gives memory back at once, for whoever is the only one to use it: garbage outside the heap waits
 * for a collection of all of it. Nothing may read the piece, or write it anywhere, any more.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  // rule: memory is given back by whoever has all of it
  const isAll = byteLength > 0 && byteLength === buffer.byteLength
  if (isAll && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
