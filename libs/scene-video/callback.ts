/**
 * gateway → submit, core request and reply: a provider's callback at the path of an attempt.
 * Answered once what it says is kept.
 */
import { z } from 'zod'

export const callbackSubject = 'video.command.callback'

/** Of a task that is named. */
export const longestCalledId = 1_000

export const callbackSchema = z.object({
  provider: z.string().max(100),
  id: z.uuid(),
  attempt: z.number().int().min(1).max(2_147_483_647),
  /** What the path has to prove that it was told by us for this attempt. */
  secret: z.string().max(100),
  /** The task it names, if any. */
  taskId: z.string().min(1).max(longestCalledId).nullable(),
})
export type Callback = z.infer<typeof callbackSchema>

/** `isOurs`: the path is that of its attempt. */
export const callbackReplySchema = z.object({ ok: z.literal(true), isOurs: z.boolean() })
export type CallbackReply = z.infer<typeof callbackReplySchema>
