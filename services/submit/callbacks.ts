/**
 * Callbacks that name a task, at the path of its attempt. While nobody knows the task of that
 * attempt's send, the one named is kept with the send and asked for at once: it is taken only when
 * the send's own account has it and no other send does, see recover.ts. So a create whose answer
 * was lost is found, and a callback that is ahead of the answer is not forgotten.
 */
import { serve } from '#libs/bus/rpc.ts'
import { publishWork } from '#libs/bus/work.ts'
import { callbackSchema, callbackSubject, type CallbackReply } from '#libs/scene-video/callback.ts'
import { settleWorkSubject } from '#libs/scene-video/messages.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import type { SubmitContext } from './context.ts'
import type { PendingVideos } from './pending-videos.ts'

export const serveCallbacks = (
  { bus, callbacks, log, store }: SubmitContext,
  pending: Pick<PendingVideos, 'take'>,
): { stop(): Promise<void> } =>
  serve(
    bus,
    { subject: callbackSubject, queue: 'submit', schema: callbackSchema, log },
    async ({ provider, id, attempt, secret, taskId }): Promise<CallbackReply> => {
      // rule: only who was told an attempt’s path names its task
      if (!callbacks.isOurs(provider, ownId(id, attempt), secret))
        return { ok: true, isOurs: false }
      const status = taskId && (await store.keepCallback({ id, attempt, provider, taskId }))
      if (status === 'pending') pending.take({ id })
      if (status === 'failed') await publishWork(bus, settleWorkSubject(id), { id })
      return { ok: true, isOurs: true }
    },
  )
