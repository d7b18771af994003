import { randomBytes } from 'node:crypto'
import { unixMs } from './clock.ts'

/**
 * A UUIDv7: sorts by creation to the millisecond. Its time is for sorting only; nothing is decided
 * by it.
 */
export function v7(): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(unixMs(), 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** The first UUIDv7 of that Unix millisecond: a time range is a range of ids. */
export const firstV7At = (unixMs: number): string =>
  Math.min(Math.max(Math.floor(unixMs), 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0')
    .replace(/^(.{8})(.{4})$/, '$1-$2-7000-8000-000000000000')
