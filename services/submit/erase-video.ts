/** Erases what an ended video said, on a user's request. */
import type { Bus } from '#libs/bus/bus.ts'
import { serve } from '#libs/bus/rpc.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { commandSubject, eraseCommandSchema } from '#libs/scene-video/messages.ts'
import type { Database } from '#libs/store/connect.ts'
import { eraseVideo } from '#libs/store/erase.ts'
import { replyOf } from './submit.ts'

export const serveErase = (bus: Bus, db: Database, log: Logger): { stop(): Promise<void> } =>
  serve(
    bus,
    { subject: commandSubject.erase, queue: 'submit', schema: eraseCommandSchema, log },
    ({ userId, id }) =>
      replyOf(async () => {
        await eraseVideo(db, userId, id)
        return { ok: true as const }
      }),
  )
