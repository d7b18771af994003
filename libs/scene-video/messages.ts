/**
 * Every message that crosses NATS, in the order they flow. Public events have two tokens
 * (`video.<event>`); all internal traffic has three or more, so `video.*` shows events and nothing
 * else.
 */
import { pricedFields } from './charge.ts'
import { word } from './words.ts'
import { z } from 'zod'
import {
  actorSchema,
  errorCodes,
  generateVideoSchema,
  phases,
  sceneVideoSchema,
  statuses,
} from './scene-video.ts'

const videoId = z.uuid()
/** A KV revision: beyond what the client can count there is none. */
const epoch = z
  .string()
  .regex(/^\d{1,16}$/)
  .refine((text) => Number.isSafeInteger(Number(text)))
const session = z.string().regex(/^[\w-]{1,100}$/)
const int4 = z.number().int().max(2_147_483_647)

// 1. gateway → submit, core request and reply
// ----------------------------------------------------------------------

/** For how long a gateway waits for the reply to a command, in milliseconds. */
export const commandWaitMs = 10_000

export const commandSubject = {
  generate: 'video.command.generate',
  cancel: 'video.command.cancel',
  retry: 'video.command.retry',
  erase: 'video.command.erase',
  testConfig: 'video.command.test-config',
} as const

/** The caller's Idempotency-Key and its route; `bodyHash` tells the same body from another. */
export const idempotencyKeySchema = z.object({
  key: z.string().max(300),
  route: z.string(),
  bodyHash: z.string(),
})
export type IdempotencyKey = z.infer<typeof idempotencyKeySchema>

export const generateCommandSchema = z.object({
  userId: z.uuid(),
  projectId: z.uuid(),
  scriptId: z.uuid(),
  sceneId: z.uuid(),
  idempotencyKey: idempotencyKeySchema.nullable(),
  body: generateVideoSchema,
  ...pricedFields,
  by: actorSchema.nullable().default(null),
})
export type GenerateCommand = z.infer<typeof generateCommandSchema>

/** Cancel or retry one video; `attempt` null means the current one. */
export const videoCommandSchema = z.object({
  userId: z.uuid(),
  id: videoId,
  attempt: int4.min(1).nullable(),
  idempotencyKey: idempotencyKeySchema.nullable().default(null),
  /** Of a retry. */
  ...pricedFields,
  by: actorSchema.nullable().default(null),
})
export type VideoCommand = z.infer<typeof videoCommandSchema>

/** Erase what an ended video said. Answered with an EraseReply. */
export const eraseCommandSchema = z.object({ userId: z.uuid(), id: videoId })
export const eraseReplySchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), code: z.string(), detail: z.string() }),
])

/**
 * Reply to every command. A refusal's `code` is stable and becomes the problem's `code` over HTTP.
 */
export const commandReplySchema = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    video: sceneVideoSchema,
    /** An earlier request under the same Idempotency-Key had done it; nothing was done now. */
    repeated: z.boolean().default(false),
  }),
  z.object({ ok: z.literal(false), code: z.string(), detail: z.string() }),
])
export type CommandReply = z.infer<typeof commandReplySchema>

/** Does the effective configuration work? Answered with an AiConfigTest. */
export const testConfigCommandSchema = z.object({
  userId: z.uuid(),
  projectId: z.uuid().nullable(),
})

// 2. submit → submit, work queue: send (or look up) the create of a pending video
// -----------------------------------

export const submitWorkSubject = (id: string) => `video.work.submit.${id}`
/** 3. submit, reconciler → pollers, work queue: claim this video and poll it. */
export const pollWorkSubject = (id: string) => `video.work.poll.${id}`
/** 4. submit, reconciler → submit, work queue: learn what a failed video's earlier tasks became. */
export const settleWorkSubject = (id: string) => `video.work.settle.${id}`

export const workSchema = z.object({ id: videoId })
export type Work = z.infer<typeof workSchema>

// 5. poller → status, core request and reply: bids for ownership, and what became of each
// --------------------------

export const claimSubject = 'video.claim.commit'

export const bidSchema = z.object({ id: videoId, epoch })
export const claimRequestSchema = z.object({ session, bids: z.array(bidSchema).max(1000) })
export type ClaimRequest = z.infer<typeof claimRequestSchema>

/**
 * What an owner needs to poll. Durations are milliseconds from Postgres' now, negative when past.
 */
export const grantSchema = z.object({
  id: videoId,
  epoch: z.string(),
  attempt: z.number().int(),
  /** Whose turn its polls take; empty where an older status did not say. */
  userId: z.string().default(''),
  status: z.enum(statuses),
  phase: word(phases),
  progress: z.number().int().nullable(),
  provider: z.string(),
  model: z.string(),
  taskId: z.string(),
  baseUrl: z.string(),
  /** The provider key, encrypted. */
  keyCipher: z.string(),
  /** Reports of this epoch recorded so far; the owner goes on counting from it. */
  reportNo: z.number().int(),
  cancelRequested: z.boolean(),
  sinceSubmittedMs: z.number(),
  /** Since anything of it was recorded: what an earlier owner saw, or that it had it in hand. */
  sinceSignOfLifeMs: z.number().default(0),
  untilDeadlineMs: z.number().nullable(),
})
export type Grant = z.infer<typeof grantSchema>
/**
 * `undecided`: the row was held by somebody else; bid again. Any other bid without a grant was
 * refused: the video is terminal, has no task yet, or a later epoch owns it.
 */
export const claimReplySchema = z.object({
  /** Read one by one by `grantSchema`: one that does not fit spoils no other. */
  grants: z.array(z.unknown()),
  undecided: z.array(videoId).default([]),
})

/**
 * Poller → poller, core request and reply: `from` has more than its share, and gives these up, as
 * owned at these epochs, to that session.
 */
export const handoffSubject = (session: string) => `video.claim.give.${session}`
export const handoffSchema = z.object({
  from: session,
  videos: z.array(bidSchema.extend({ dueInMs: z.number().min(0) })).max(1000),
})
/** What the other one need not care for any more. */
export const handoffReplySchema = z.object({ taken: z.array(videoId) })

/**
 * Reconciler → poller, core request and reply: does this session host these videos, as owned at
 * these epochs? Nothing is taken from an owner that does.
 */
export const askSubject = (session: string) => `video.claim.ask.${session}`
export const askSchema = z.object({ videos: z.array(bidSchema).max(1000) })
export const askReplySchema = z.object({ hosted: z.array(videoId) })

// 6. poller → status, work queue: what an owner saw
// ------------------------------------------------------------------

/** The last token is whoever sends; where a report is buried alone, its video. */
export const reportsSubject = (from: string) => `video.report.${from}`

/**
 * `no` counts an owner's reports of one video from 1; (epoch, no) only ever grows. `change` null:
 * still in hand.
 */
export const reportSchema = z.object({
  id: videoId,
  attempt: int4.min(1),
  epoch,
  no: int4.min(1),
  change: z
    .object({
      status: z.enum(['generating', 'completed', 'failed']),
      phase: word(phases),
      progress: z.number().int().min(0).max(100).nullable(),
      videoUrl: z.string().max(8192).nullable(),
      /** Postgres knows no year 0. */
      videoUrlExpiresAt: z.iso
        .datetime()
        .refine((at) => !at.startsWith('0000'))
        .nullable(),
      error: z.object({ code: word(errorCodes), message: z.string().max(2000) }).nullable(),
    })
    .nullable(),
  /** What the provider said that we do not know; only beside no change. */
  said: z.string().max(200).optional(),
  soon: z.literal(true).optional(), // not to be gathered with others for long
})
export type Report = z.infer<typeof reportSchema>
/** Read one by one by `reportSchema`: one that does not fit spoils no other. */
export const reportsSchema = z.array(z.unknown()).min(1).max(1000)
export type Change = NonNullable<Report['change']>

// 7. outbox → everybody: the public events
// ---------------------------------------------------------------------------

export const eventSubject = (event: string) => `video.${event}`
/**
 * Where events are put, under an expected last sequence per video; NATS turns it into
 * `eventSubject`.
 */
export const outSubject = (event: string, id: string) => `video.out.${event}.${id}`

export const videoEventSchema = sceneVideoSchema.extend({ userId: z.uuid() })
export type VideoEvent = z.infer<typeof videoEventSchema>

/** An event that was committed to the timeline and is owed to the stream. */
export interface OwedEvent {
  timelineId: bigint
  event: string
  /** ISO 8601, of the commit. */
  at: string
  body: VideoEvent
  /** The sequence of the event before it, where that was read. */
  after?: number
}

// 8. gateway (webhooks), submit (cancel), reconciler (stale) → pollers, core: poll this video now;
// revoked: you do not own it ----

export const nudgeSubject = (id: string) => `video.nudge.${id}`
export const nudgeSchema = z.object({
  id: videoId,
  reason: z.enum(['webhook', 'cancel', 'stale', 'revoked']),
  /** Of what is revoked: a later owner is not meant. */
  epoch: epoch.optional(),
})
export type Nudge = z.infer<typeof nudgeSchema>
