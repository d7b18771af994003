/** The timeline in memory, as the outbox of the events. */
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import { toOwed, type TimelineRow } from './rows.ts'
import { MemoryConfigs } from './memory-configs.ts'

export class MemoryOutbox extends MemoryConfigs {
  readonly timeline: TimelineRow[] = []
  /** Milliseconds. */
  protected readonly now: () => number

  constructor(now: () => number) {
    super()
    this.now = now
  }

  async owed(videoIds: string[] | null, limit: number): Promise<OwedEvent[]> {
    return this.timeline
      .filter((row) => row.owed && (videoIds === null || videoIds.includes(row.videoId)))
      .slice(0, limit)
      .map(toOwed)
  }

  async eventsBetween(
    videoId: string,
    above: number,
    below: number,
    since: number,
  ): Promise<OwedEvent[]> {
    return this.timeline
      .filter(
        (row) =>
          row.videoId === videoId &&
          row.version > above &&
          row.version < below &&
          (row.owed || (row.sequence !== null && row.sequence >= since)),
      )
      .map(toOwed)
  }

  async markPublished(published: { timelineId: bigint; sequence: number }[]): Promise<void> {
    for (const { timelineId, sequence } of published)
      Object.assign(this.timeline[Number(timelineId) - 1]!, { owed: false, sequence })
  }

  async newestStored(above: number): Promise<{ videoId: string; version: number }[]> {
    const newest = new Map<string, number>()
    for (const { videoId, version, sequence } of this.timeline)
      if (sequence !== null && sequence > above)
        newest.set(videoId, Math.max(newest.get(videoId) ?? 0, version))
    return [...newest].map(([videoId, version]) => ({ videoId, version }))
  }

  async markUnpublishedAbove(
    lost: { videoId: string; version: number }[],
    since: number,
  ): Promise<void> {
    const have = new Map(lost.map(({ videoId, version }) => [videoId, version]))
    for (const row of this.timeline)
      if (
        row.version > (have.get(row.videoId) ?? Infinity) &&
        row.sequence !== null &&
        row.sequence >= since
      )
        Object.assign(row, { owed: true, sequence: null })
  }

  async overdue(ms: number, limit: number): Promise<string[]> {
    const rows = this.timeline.filter((row) => row.owed && row.at < this.now() - ms).slice(0, limit)
    return [...new Set(rows.map((row) => row.videoId))]
  }
}
