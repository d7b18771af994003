/**
 * The record of one generated video, and the words used for it everywhere: in Postgres, on NATS,
 * over HTTP. Pure: no I/O, no clock.
 */
import { z } from 'zod'
import { fileLossSchema, videoFileSchema } from './video-file.ts'
import { instant, word } from './words.ts'

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

export const videoErrorSchema = z.object({ code: word(errorCodes), message: z.string() })
export type VideoError = z.infer<typeof videoErrorSchema>

/** Text that Postgres and JSON can carry: no NUL, no half of a surrogate pair. */
export const storable = z
  .string()
  .refine(
    (text) => text.isWellFormed() && !text.includes('\0'),
    'must not contain NUL or half a surrogate pair',
  )

const metadataValue = z.union([storable.max(4096), z.number(), z.boolean(), z.null()])

export const moneySchema = z.object({
  amount: z.number().min(0),
  currency: z.string().describe('As the operator names it'),
})
export type Money = z.infer<typeof moneySchema>

/** What was asked for besides the prompt; null where the provider's own default was taken. */
export const videoParamsSchema = z.object({
  durationSeconds: z.number().int().nullable().describe('Length asked for, in seconds'),
  aspectRatio: z.string().nullable().describe('Width to height asked for'),
  resolution: z.string().nullable().describe('Resolution asked for, in the provider’s words'),
  imageUrls: z.array(z.string()).describe('Reference images'),
})
export type VideoParams = z.infer<typeof videoParamsSchema>
const noParams = (): VideoParams => ({
  durationSeconds: null,
  aspectRatio: null,
  resolution: null,
  imageUrls: [],
})

/**
 * What becomes of a create whose answer is lost. `proven`: found again by our own id, as seen at
 * this account; `by_key`: the provider takes a second create under the same key for the first;
 * `by_match`: looked for among the account's tasks; `none`: nobody can tell, so it is never sent
 * twice.
 */
export const guarantees = ['proven', 'by_key', 'by_match', 'none'] as const
export type Guarantee = (typeof guarantees)[number]

export const waitingSchema = z.object({
  reason: z.string().describe('Why it waits, in words'),
  until: instant.nullable().describe('When it is tried again; null where nobody knows'),
})
/**
 * A SceneVideo as everybody outside sees it. Instants are ISO 8601 UTC; what is absent is null.
 * Fields with a default are younger than the first version: events that were stored before them are
 * read all the same.
 */
export const sceneVideoSchema = z
  .object({
    id: z.uuid(),
    sceneId: z.uuid(),
    scriptId: z.uuid(),
    projectId: z.uuid(),
    status: z.enum(statuses).describe('completed and failed are the end of an attempt'),
    phase: word(phases).describe('What it is doing within its status'),
    progress: z
      .number()
      .int()
      .min(0)
      .max(100)
      .nullable()
      .describe('Percent, as the provider tells it; null where it tells none'),
    waiting: waitingSchema
      .nullable()
      .default(null)
      .describe('Why nothing happens right now; null while it is worked on'),
    provider: z.string(),
    model: z.string(),
    prompt: z.string(),
    params: videoParamsSchema.default(noParams),
    metadata: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .default(() => ({}))
      .describe('The caller’s own, as it was given'),
    guarantee: word(guarantees)
      .default('none')
      .describe(
        'What becomes of a create whose answer is lost: found by own id (proven), deduplicated by key, looked for by match, or none',
      ),
    taskId: z
      .string()
      .nullable()
      .describe('The provider’s own id for the task of the current attempt'),
    videoUrl: z.string().nullable().describe('The provider’s link; it dies at videoUrlExpiresAt'),
    videoUrlExpiresAt: instant.nullable(),
    file: videoFileSchema.nullable().default(null).describe('The kept file, once phase is stored'),
    fileLoss: fileLossSchema
      .nullable()
      .default(null)
      .describe('Why a completed video has no file and will have none'),
    usage: z
      .record(z.string(), z.unknown())
      .nullable()
      .default(null)
      .describe('What the provider says it used or charged, in its own words and units'),
    cost: moneySchema
      .nullable()
      .default(null)
      .describe(
        'What one create of it costs by the operator’s prices, when it was last asked for; null where no price is known',
      ),
    error: videoErrorSchema.nullable(),
    attempt: z.number().int().min(1).describe('Counts from 1; a retry opens the next'),
    version: z.number().int().min(1).describe('Grows with every recorded change'),
    createdAt: instant,
    submittedAt: instant.nullable().describe('When the provider accepted the current attempt'),
    startedAt: instant.nullable().describe('When the provider first answered a poll'),
    completedAt: instant.nullable().describe('When the current attempt ended, well or not'),
    updatedAt: instant.describe('Moves at least once a minute while it is in hand'),
  })
  .meta({ id: 'SceneVideo' })
export type SceneVideo = z.infer<typeof sceneVideoSchema>

/** Who caused an entry of the timeline: the API key, or null for the key of a JWT's user. */
export const actorSchema = z.object({ keyId: z.string().nullable(), name: z.string().nullable() })
export type Actor = z.infer<typeof actorSchema>

/** Metadata is carried by every event: so many characters of JSON at most. */
const maxMetadataLength = 4_096

const imageAddress = z.url({ protocol: /^https?$/ })
/** An image is an address, or the id of an upload. */
export const isUploadId = (image: string): boolean => z.uuid().safeParse(image).success
export const imagesSchema = z
  .array(
    storable
      .max(8192)
      .refine(
        (image) => isUploadId(image) || imageAddress.safeParse(image).success,
        'must be an http or https link that the provider can fetch, or the id of an upload; data: is not taken',
      ),
  )
  .max(16)

/** What a caller may ask for; all of it optional. `prompt` falls back to the scene's. */
export const generateVideoSchema = z.strictObject({
  prompt: storable.trim().min(1).max(10_000).optional().describe('Without one it is the scene’s'),
  provider: storable
    .min(1)
    .max(64)
    .optional()
    .describe('See /api/models; without one that of the project’s, user’s or system’s account'),
  model: storable.min(1).max(128).optional().describe('See /api/models'),
  durationSeconds: z
    .number()
    .int()
    .min(1)
    .max(600)
    .optional()
    .describe('Without one, and below likewise: the provider’s own default'),
  aspectRatio: z
    .string()
    .regex(/^\d{1,3}:\d{1,3}$/, 'must look like 16:9')
    .optional()
    .describe('Like `16:9`'),
  resolution: storable.min(1).max(32).optional().describe('Like `720p`; see /api/models'),
  imageUrls: imagesSchema
    .optional()
    .describe('Images to begin with: where the provider finds them, or ids of uploads'),
  deadlineSeconds: z
    .number()
    .int()
    .min(1)
    .max(30 * 24 * 3600)
    .optional()
    .describe('Seconds after acceptance at which the video is no longer wanted: it fails then'),
  metadata: z
    .record(storable.max(128), metadataValue)
    .refine(
      (data) => JSON.stringify(data).length <= maxMetadataLength,
      `must have at most ${maxMetadataLength} characters as JSON`,
    )
    .optional()
    .describe('The caller’s own: answered, told in events, and found by `metadata.<key>`'),
})
/** What a create takes of it besides the prompt, as kept with the video. */
export const createParamsSchema = generateVideoSchema
  .pick({
    durationSeconds: true,
    aspectRatio: true,
    resolution: true,
    imageUrls: true,
  })
  // what an earlier version accepted without the bound is kept
  .extend({ metadata: z.record(z.string(), metadataValue).optional() })
  .strip()
export type GenerateVideo = z.infer<typeof generateVideoSchema>

export const isTerminal = (status: Status): boolean => status === 'completed' || status === 'failed'

/** The id we give a provider for one attempt; what a lost answer is looked up by. */
export const ownId = (videoId: string, attempt: number): string => `${videoId}-${attempt}`
