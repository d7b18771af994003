/** Pieces of schemas that several routes have. */
import { z } from 'zod'

export const id = z.uuid().toLowerCase()

export const ids = <K extends string>(...names: K[]) =>
  z.object(Object.fromEntries(names.map((name) => [name, id])) as Record<K, typeof id>)

/** Read in idempotency.ts, which also takes it quoted. */
export const idempotencyHeader = z.object({
  'idempotency-key': z
    .string()
    .optional()
    .describe('Quoted or bare, 1 to 255 characters, per user and route, kept 24 h'),
})

export const tokenQuery = z.object({
  token: z
    .string()
    .max(4_096)
    .optional()
    .describe('A stream token or an API key, where no header can be sent'),
})
