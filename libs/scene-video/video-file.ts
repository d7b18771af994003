/** What is told of the file of a video. Pure. */
import { z } from 'zod'
import { instant, word } from './words.ts'

const previewSchema = z.object({
  url: z.string().describe('Path at the gateway that serves it'),
  bytes: z.number().int().min(0),
  type: z.string().describe('Media type'),
  width: z.number().int().describe('Pixels'),
  height: z.number().int().describe('Pixels'),
})

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
  poster: previewSchema
    .nullable()
    .default(null)
    .describe('One frame of its beginning; null where the installation makes none'),
  strip: previewSchema
    .extend({ frames: z.number().int().describe('Side by side, evenly over the duration') })
    .nullable()
    .default(null)
    .describe('Small frames in one picture, to look through; null as with the poster'),
})
export type VideoFile = z.infer<typeof videoFileSchema>

/** Why there is no file and will be none. */
export const fileLossSchema = z.object({
  code: word(['lost', 'removed']).describe('lost: never kept; removed: kept, and then deleted'),
  reason: z.string(),
})

export const previewKinds = ['poster', 'strip'] as const
export type PreviewKind = (typeof previewKinds)[number]

/** Of a picture of the file under `key`, in the same store. */
export const previewKey = (key: string, kind: PreviewKind): string => `${key}.${kind}`
/** Of the file that a picture is of; a file's own key as it is. */
export const withoutPreview = (key: string): string => key.replace(/\.(?:poster|strip)$/, '')
