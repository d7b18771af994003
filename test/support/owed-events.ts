/** Events that are owed, and stores of them, for tests of the outbox on a real nats-server. */
import type { LossStore, OutboxStore } from '#libs/outbox/outbox.ts'
import type { OwedEvent, VideoEvent } from '#libs/scene-video/messages.ts'

export const owed = (id: string, version: number, event: string): OwedEvent => ({
  timelineId: BigInt(version),
  event,
  at: '2026-01-01T00:00:00.000Z',
  body: { id, version, status: event === 'completed' ? event : 'pending' } as VideoEvent,
})
/** A store whose marks never arrive: every publisher finds everything owed, as after a crash. */
export const forgetful = (events: OwedEvent[]): OutboxStore => ({
  owed: async () => events,
  eventsBetween: async () => [],
  markPublished: async () => {},
})

/** What Postgres remembers of these events. */
export function logOf(rows: { id: string; version: number; sequence: number }[]) {
  const owedAgain: { videoId: string; version: number }[] = []
  const log: LossStore = {
    newestStored: async (above) => {
      const newest = new Map<string, number>()
      for (const { id, version, sequence } of rows)
        if (sequence > above) newest.set(id, Math.max(newest.get(id) ?? 0, version))
      return [...newest].map(([videoId, version]) => ({ videoId, version }))
    },
    markUnpublishedAbove: async (lost, since) => {
      for (const { videoId, version } of lost)
        for (const row of rows)
          if (row.id === videoId && row.version > version && row.sequence >= since)
            owedAgain.push({ videoId, version: row.version })
    },
  }
  return { log, owedAgain }
}
