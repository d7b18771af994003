/**
 * What was promised to a person (a cancel, a deadline) stands in the row; the message about it may
 * be lost. So owners are told again until the video has ended.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { nudgeSubject } from '#libs/scene-video/messages.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { Recovery } from '#libs/store/recovery.ts'

/** Whether any video is in hand. */
export async function tellPromises(
  bus: Bus,
  recovery: Pick<InterfaceOf<Recovery>, 'unkeptPromises'>,
): Promise<boolean> {
  const { unkept, anyInHand } = await recovery.unkeptPromises()
  // rule: an owner is told again of a cancel until the video has ended
  for (const { id, promise } of unkept)
    bus.publishCore(nudgeSubject(id), { id, reason: promise === 'cancel' ? 'cancel' : 'stale' })
  return anyInHand
}
