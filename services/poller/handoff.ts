/**
 * Rebalancing, so that all pollers own about the same number: one above its share hands videos over
 * to peers below theirs. What a peer does not take is claimed again.
 */
import { serve } from '#libs/bus/rpc.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { handoffReplySchema, handoffSchema, handoffSubject } from '#libs/scene-video/messages.ts'
import type { Claims, ClaimsDeps } from './claims.ts'
import { planRebalance, type Handoff, type RebalanceTolerance } from './rebalance.ts'

export interface HandoffsOptions extends Pick<ClaimsDeps, 'bus' | 'ownership' | 'host' | 'log'> {
  claims: Claims
  /** For a peer's answer, in milliseconds. */
  timeoutMs: number
  tolerance: RebalanceTolerance | undefined
}

const maxVideos = 1_000

export class Handoffs {
  readonly #options: HandoffsOptions
  #inTransit = 0

  constructor(options: HandoffsOptions) {
    this.#options = options
  }

  /**
   * Videos on their way to a peer. Counted by us until it counts them: a third poller that counted
   * them nowhere would hand over too many.
   */
  get inTransit(): number {
    return this.#inTransit
  }

  /** Hands over what is above our share; most often nothing. */
  async balance(): Promise<void> {
    const { ownership, host, tolerance } = this.#options
    if (!ownership.mayClaim()) return
    for (const one of planRebalance(host.videos.size, ownership.peers(), tolerance))
      await this.#handOver(one)
  }

  async #handOver({ session, count }: Handoff): Promise<void> {
    const { bus, ownership, host, claims, log, timeoutMs } = this.#options
    const videos = host.releaseForHandoff(Math.min(count, maxVideos))
    log.info({ session, count: videos.length }, `Handing over ${videos.length} videos to a peer`)
    crashPoint('handoff-offered')
    this.#inTransit = videos.length
    let taken: string[] = []
    try {
      const offer = { from: ownership.session, videos }
      const reply = await bus.request(handoffSubject(session), offer, timeoutMs)
      taken = handoffReplySchema.parse(reply).taken
    } catch (err) {
      log.warn({ err, session }, 'no answer to a handoff')
    }
    this.#inTransit = 0
    const took = new Set(taken)
    claims.claimAgain(videos.map((video) => video.id).filter((id) => !took.has(id)))
  }

  /** Takes what peers hand over to this session. */
  serve(session: string): { stop(): Promise<void> } {
    const { bus, ownership, claims, log } = this.#options
    return serve(
      bus,
      { subject: handoffSubject(session), queue: 'poller', schema: handoffSchema, log },
      async ({ from, videos }) => {
        const outcomes = await Promise.all(
          videos.map(({ id, epoch, dueInMs }) =>
            claims.claim(id, { from: { session: from, epoch: BigInt(epoch) }, dueInMs }),
          ),
        )
        await ownership.heartbeatNow()
        const isTaken = (_: unknown, i: number) =>
          outcomes[i] === 'granted' || outcomes[i] === 'refused'
        return { taken: videos.map((video) => video.id).filter(isTaken) }
      },
    )
  }
}
