/** What is told of the file of a video. Pure. */
import { z } from 'zod'
import { instant, word } from './words.ts'

/** The kept file. Lengths in bytes, pixels and seconds; null where it could not be read. */
export const videoFileSchema = z.object({
  url: z.string().describe('Path at the gateway that serves it, with ranges'),
  bytes: z.number().int().min(0),
  sha256: z.string().nullable().describe('Of its bytes, in hex'),
  type: z.string().nullable().describe('Media type'),
  container: z.string().nullable().default(null).describe('Such as mp4 or webm'),
  codec: z.string().nullable().default(null).describe('Of its pictures'),
  width: z.number().int().nullable().describe('Pixels'),
  height: z.number().int().nullable().describe('Pixels'),
  durationSeconds: z.number().nullable(),
  framesPerSecond: z.number().nullable().default(null),
  hasAudio: z.boolean().nullable().default(null),
  storedAt: instant,
})
export type VideoFile = z.infer<typeof videoFileSchema>

/** Why there is no file and will be none. */
export const fileLossSchema = z.object({
  code: word(['lost', 'removed']).describe('lost: never kept; removed: kept, and then deleted'),
  reason: z.string(),
})
