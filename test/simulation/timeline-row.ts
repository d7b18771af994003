/** The timeline as the simulation keeps it; a row with `owed` is an event not known to be published. */
import type { OwedEvent } from '#libs/bus/outbox.ts'
import type { VideoEvent } from '#libs/scene-video/messages.ts'

export interface TimelineRow {
  id: number
  videoId: string
  version: number
  kind: string
  event: string | null
  attempt: number
  epoch: bigint
  owed: boolean
  sequence: number | null
  at: number
  body: VideoEvent | null
}

export const toOwed = (row: TimelineRow): OwedEvent => ({ timelineId: BigInt(row.id), event: row.event!, at: '', body: row.body! })
