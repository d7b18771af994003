/**
 * The record of one generated video, and the words used for it everywhere: in Postgres, on NATS,
 * over HTTP. Pure: no I/O, no clock.
 */
import { z } from 'zod'

export const statuses = ['pending', 'generating', 'completed', 'failed'] as const
export const phases = [
  'queued',
  'throttled',
  'submitted',
  'running',
  'retrying',
  'overdue',
  'cancelling',
  'done',
  'stored',
] as const
export const eventNames = [
  'requested',
  'submitted',
  'generating',
  'progress',
  'completed',
  'failed',
  'stored',
] as const

/**
 * Stable codes of a video's `error`. `provider_failed` is what a provider says in words we have no
 * code for.
 */
export const errorCodes = [
  'cancelled',
  'timed_out',
  'submission_unknown',
  'content_policy',
  'invalid_request',
  'insufficient_balance',
  'bad_key',
  'provider_failed',
  'no_result',
  'result_removed',
  'unknown_provider',
] as const

export type Status = (typeof statuses)[number]
export type Phase = (typeof phases)[number]
export type EventName = (typeof eventNames)[number]
export type ErrorCode = (typeof errorCodes)[number]

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

export const videoErrorSchema = z.object({ code: word(errorCodes), message: z.string() })
export type VideoError = z.infer<typeof videoErrorSchema>

const instant = z.iso.datetime()

/** Text that Postgres and JSON can carry: no NUL, no half of a surrogate pair. */
export const storable = z
  .string()
  .refine(
    (text) => text.isWellFormed() && !text.includes('\0'),
    'must not contain NUL or half a surrogate pair',
  )

/** A SceneVideo as everybody outside sees it. Instants are ISO 8601 UTC; what is absent is null. */
export const sceneVideoSchema = z
  .object({
    id: z.uuid(),
    sceneId: z.uuid(),
    scriptId: z.uuid(),
    projectId: z.uuid(),
    status: z.enum(statuses),
    phase: word(phases),
    /** 0–100, or null where the provider tells none. */
    progress: z.number().int().min(0).max(100).nullable(),
    provider: z.string(),
    model: z.string(),
    prompt: z.string(),
    /** The provider's own id for the task of the current attempt. */
    taskId: z.string().nullable(),
    videoUrl: z.string().nullable(),
    videoUrlExpiresAt: instant.nullable(),
    error: videoErrorSchema.nullable(),
    attempt: z.number().int().min(1),
    version: z.number().int().min(1),
    createdAt: instant,
    submittedAt: instant.nullable(),
    startedAt: instant.nullable(),
    completedAt: instant.nullable(),
    updatedAt: instant,
  })
  .meta({ id: 'SceneVideo' })
export type SceneVideo = z.infer<typeof sceneVideoSchema>

/** What a caller may ask for; all of it optional. `prompt` falls back to the scene's. */
export const generateVideoSchema = z.strictObject({
  prompt: storable.trim().min(1).max(10_000).optional(),
  provider: storable.min(1).max(64).optional(),
  model: storable.min(1).max(128).optional(),
  durationSeconds: z.number().int().min(1).max(600).optional(),
  aspectRatio: z
    .string()
    .regex(/^\d{1,3}:\d{1,3}$/, 'must look like 16:9')
    .optional(),
  resolution: storable.min(1).max(32).optional(),
  imageUrls: z
    .array(
      z
        .url({ protocol: /^https?$/ })
        .max(4096)
        .refine(
          (url) => url.isWellFormed() && !url.includes('\0'),
          'must not contain NUL or half a surrogate pair',
        ),
    )
    .max(16)
    .optional(),
  /** Seconds after acceptance at which the caller no longer wants the video. */
  deadlineSeconds: z
    .number()
    .int()
    .min(1)
    .max(30 * 24 * 3600)
    .optional(),
  metadata: z
    .record(storable.max(128), z.union([storable.max(4096), z.number(), z.boolean(), z.null()]))
    .optional(),
})
/** What a create takes of it besides the prompt, as kept with the video. */
export const createParamsSchema = generateVideoSchema
  .pick({
    durationSeconds: true,
    aspectRatio: true,
    resolution: true,
    imageUrls: true,
    metadata: true,
  })
  .strip()
export type GenerateVideo = z.infer<typeof generateVideoSchema>

export const isTerminal = (status: Status): boolean => status === 'completed' || status === 'failed'

/** The id we give a provider for one attempt; what a lost answer is looked up by. */
export const ownId = (videoId: string, attempt: number): string => `${videoId}-${attempt}`
