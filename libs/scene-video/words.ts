/** Values that every schema of ours is made of. Pure. */
import { z } from 'zod'

/**
 * One of our own words, as a reader takes it: while a deploy is under way a later version may write
 * words that this one does not know, and they are kept as they are. The type is what this version
 * writes.
 */
export const word = <const T extends string>(known: readonly T[]): z.ZodType<T> =>
  z.union([
    z.enum(known),
    z.string().regex(/^[a-z][a-z0-9_]{0,63}$/) as z.ZodType<string> as z.ZodType<T>,
  ])

/** ISO 8601, UTC. */
export const instant = z.iso.datetime()
