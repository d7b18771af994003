/** Who should own how many. Pure. */
import type { Peer } from '#libs/ownership/peers.ts'

/** Up to the mean times `factor`, and `videos` above it, nobody moves anything. */
export interface RebalanceTolerance {
  factor: number
  videos: number
}

export interface Handoff {
  session: string
  count: number
}

/**
 * What a poller that owns `own` should give to which peers, so that all come to own about the same;
 * most often nothing.
 */
export function planRebalance(
  own: number,
  peers: Peer[],
  tolerance: RebalanceTolerance = { factor: 1.02, videos: 5 },
): Handoff[] {
  const takers = peers.filter((peer) => peer.acceptsClaims)
  const total = own + takers.reduce((sum, peer) => sum + peer.owned, 0)
  const fair = Math.ceil(total / (takers.length + 1))
  if (own <= fair * tolerance.factor + tolerance.videos) return []
  const room = takers
    .map(({ session, owned }) => ({ session, room: Math.max(0, fair - owned) }))
    .filter((taker) => taker.room > 0)
  const roomInAll = room.reduce((sum, taker) => sum + taker.room, 0)
  const surplus = Math.min(own - fair, roomInAll)
  return room
    .map(({ session, room: part }) => ({
      session,
      count: Math.floor((surplus * part) / roomInAll),
    }))
    .filter((handoff) => handoff.count > 0)
}

/**
 * Which of `sessions` should take a dead one's video first: the same answer at each of them, an
 * even share for each.
 */
export function preferredOwner(videoId: string, sessions: string[]): string {
  let hash = 2_166_136_261
  for (let i = 0; i < videoId.length; i++)
    hash = Math.imul(hash ^ videoId.charCodeAt(i), 16_777_619)
  return sessions.toSorted()[(hash >>> 0) % sessions.length]!
}
