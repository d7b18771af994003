/** Asks live owners which of these videos they host, before anything is taken from them. */
import type { Bus } from '#libs/bus/bus.ts'
import type { OwnerRecord } from '#libs/ownership/records.ts'
import { eachLimited } from '#libs/runtime/limited.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { askReplySchema, askSubject } from '#libs/scene-video/messages.ts'

const askMs = 3_000
const mostAtOnce = 500
const sessionsAtOnce = 20

/** Ids of the videos that their owner hosts at the epoch of its record. An owner that does not
 * answer hosts nothing, as far as is known. */
export async function hostedOf(
  bus: Bus,
  records: OwnerRecord[],
  log: Logger,
): Promise<Set<string>> {
  const hosted = new Set<string>()
  const bySession = Map.groupBy(records, (record) => record.session)
  await eachLimited(bySession, sessionsAtOnce, async ([session, owned]) => {
    for (let from = 0; from < owned.length; from += mostAtOnce) {
      const videos = owned
        .slice(from, from + mostAtOnce)
        .map(({ videoId, revision }) => ({ id: videoId, epoch: revision.toString() }))
      try {
        const answer = await bus.request(askSubject(session), { videos }, askMs)
        for (const id of askReplySchema.parse(answer).hosted) hosted.add(id)
      } catch (err) {
        return log.warn({ err, session }, 'an owner does not answer')
      }
    }
  })
  return hosted
}
