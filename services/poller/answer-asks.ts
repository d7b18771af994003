/** Says which videos a session hosts: what somebody has in hand is not taken from him. */
import type { Bus } from '#libs/bus/bus.ts'
import { serve } from '#libs/bus/rpc.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { askSchema, askSubject } from '#libs/scene-video/messages.ts'

export const answerAsks = (
  bus: Bus,
  session: string,
  hosted: Pick<ReadonlyMap<string, { epoch: string }>, 'get'>,
  log: Logger,
): { stop(): Promise<void> } =>
  serve(
    bus,
    { subject: askSubject(session), queue: 'poller', schema: askSchema, log },
    // rule: an owner says what it hosts
    async ({ videos }) => ({
      hosted: videos.filter(({ id, epoch }) => hosted.get(id)?.epoch === epoch).map(({ id }) => id),
    }),
  )
