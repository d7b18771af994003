/** What was recorded, published and charged: all that a cluster is judged by. */
import { connectNats } from '../support/nats.ts'
import type { Cluster } from './cluster.ts'

export interface Audit {
  no: string
  id: string
  version: number
  attempt: number
  status: string
  epoch: string
  reportNo: number
  /** Unix ms, by Postgres' clock. */
  at: number
}
export interface Entry {
  videoId: string
  version: number
  attempt: number
  event: string | null
  epoch: string | null
  owed: boolean
}
export interface Row {
  id: string
  status: string
  phase: string
  attempt: number
  version: number
  taskId: string | null
  userId: string
  videoUrl: string | null
  deadlineSeconds: number | null
  errorCode: string | null
}
export interface Charge {
  client_business_id: string
  task_id: string
  status: string
  created_at: string
  finished_at: string | null
}
export interface StoredEvent {
  id: string
  version: number
  event: string
  /** Unix ms, by the NATS server's clock. */
  at: number
}

export interface Evidence {
  rows: Row[]
  audits: Audit[]
  entries: Entry[]
  tasks: Charge[]
  events: StoredEvent[]
}

/** Everything in stream VIDEO, in order. */
export async function storedEvents(natsUrl: string): Promise<StoredEvent[]> {
  const nc = await connectNats(natsUrl)
  try {
    const consumer = await nc.jetstream().consumers.get('VIDEO')
    const total = (await consumer.info()).num_pending
    const seen: StoredEvent[] = []
    if (total === 0) return seen
    const messages = await consumer.consume({ max_messages: 2_000 })
    for await (const message of messages) {
      const [id = '', version = ''] = message.headers!.get('ce-id').split(':')
      seen.push({
        id,
        version: Number(version),
        event: message.subject.split('.')[1]!,
        at: message.info.timestampNanos / 1e6,
      })
      if (seen.length >= total) break
    }
    return seen
  } finally {
    await nc.close()
  }
}

export async function gather(cluster: Cluster): Promise<Evidence> {
  const rows = await cluster.query<Row>(
    `SELECT id, status::text, phase, attempt, version, "taskId", "userId", "videoUrl", "deadlineSeconds", "errorCode"
       FROM "SceneVideo"`,
  )
  const audits = await cluster.query<Audit>(
    `SELECT no, id, version, attempt, status, epoch, "reportNo", (extract(epoch FROM at) * 1000)::float8 at
       FROM chaos_audit ORDER BY no`,
  )
  const entries = await cluster.query<Entry>(
    'SELECT "videoId", version, attempt, event, epoch, owed FROM "Timeline" ORDER BY id',
  )
  const { tasks } = await cluster.simulator<{ tasks: Charge[] }>('/ledger')
  return { rows, audits, entries, tasks, events: await storedEvents(cluster.natsUrl) }
}
