/** What a dead session owned is free: the live ones share it out. */
import { ownerRecords } from '#libs/ownership/records.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { preferredOwner } from './rebalance.ts'
import type { ClaimsDeps, Claims } from './claims.ts'

const rounds = 3
const againMs = 1_000

export interface TakeoverParts extends Pick<ClaimsDeps, 'bus' | 'clock' | 'ownership' | 'log'> {
  claims: Claims
  signal: AbortSignal
}

/**
 * Bids for our share of it first, then for whatever is still left. What is undecided then is bid
 * for again by `claims`. Never throws.
 */
export async function takeOver(
  { bus, clock, ownership, log, claims, signal }: TakeoverParts,
  session: string,
  stopped: boolean,
): Promise<void> {
  let found = 0
  let granted = 0
  for (let round = 0; round < rounds && !signal.aborted;) {
    while (!ownership.mayClaim() && !signal.aborted)
      await sleep(ownership.claimDelayMs() || 250, signal, clock)
    try {
      const records = await ownerRecords(bus)
      const orphans = records.filter((one) => one.session === session).map((one) => one.videoId)
      if (orphans.length === 0) break
      found ||= orphans.length
      const heirs = ownership.peers().filter((peer) => !peer.draining)
      const sessions = [ownership.session, ...heirs.map((peer) => peer.session)]
      const ours = orphans.filter((id) => preferredOwner(id, sessions) === ownership.session)
      granted += await claims.claimAll(round++ > 0 ? orphans : ours)
    } catch (err) {
      log.warn({ err, session }, 'takeover not finished, trying again')
    }
    await sleep(againMs, signal, clock)
  }
  if (found === 0) return
  const whose = stopped ? 'a stopped poller' : 'a dead poller'
  log.info({ session, found, granted }, `Took over ${granted} of ${found} videos of ${whose}`)
}
