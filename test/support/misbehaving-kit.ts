/** What tests of a misbehaving provider ask of a system, and how they set it up. */
import pg from 'pg'
import { expect } from 'vitest'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import { defaults } from '#services/provider-simulator/settings.ts'
import { System, until } from './system.ts'

/** Nothing goes wrong, and soon over. */
export const calm = {
  minSeconds: 1,
  maxSeconds: 1.5,
  tier: 'off',
  lookupLagMs: 0,
  createdDelayMs: 0,
  finishedMissingMs: 0,
  resultLifeSeconds: 86_400,
  retryAfterSeconds: 1,
  retryAfterAsDate: false,
  webhookUrl: null,
  faults: defaults.faults,
}
/** Windows short enough to be waited for. */
export const timing = {
  POLL_INTERVAL_MS: '400',
  RECONCILE_INTERVAL_MS: '2000',
  CREATE_TIMEOUT_MS: '1200',
  SEND_WINDOW_MS: '1000',
  LOOKUP_WINDOW_MS: '5000',
}

export interface Entry {
  kind: string
  attempt: number
  phase: string
  detail: Record<string, string> | null
}

/** A counter of all processes of this kind together. */
async function metricOf(system: System, service: string, line: string): Promise<number> {
  const ports = [
    ...new Map(
      [
        ...system.output.matchAll(
          new RegExp(`info +(${service}\\S*) \\S+ started .*?healthPort=(\\d+)`, 'g'),
        ),
      ].map((match) => [match[1], match[2]]),
    ).values(),
  ]
  expect(ports.length).toBeGreaterThan(0)
  const texts = await Promise.all(
    ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
  )
  return texts.reduce(
    (sum, text) =>
      sum +
      Number(
        text
          .split('\n')
          .find((one) => one.startsWith(`reelkeeper_${line} `))
          ?.split(' ')
          .at(-1) ?? 0,
      ),
    0,
  )
}

/** What the cases ask of a system. */
export function asking(system: System) {
  const ask = {
    submit: (body: object = {}): Promise<string> => system.submit(body),
    command: async (id: string, verb: 'cancel' | 'retry') =>
      (await system.api('POST', `/api/scene-videos/${id}/${verb}`, {})).status,
    is: (id: string, what: string, fits: (video: SceneVideo) => boolean) =>
      until(
        `${id} to be ${what}`,
        async () => {
          const video = await system.video(id)
          return fits(video) ? video : undefined
        },
        30_000,
      ),
    ended: (id: string) =>
      ask.is(id, 'ended', ({ status }) => status === 'completed' || status === 'failed'),
    creates: async (id: string) =>
      (await system.ledger())
        .filter((row) => row.client_business_id.startsWith(id))
        .map((row) => row.client_business_id.slice(id.length + 1)),
    charged: (id: string) =>
      until(`${id} to be charged`, async () => (await ask.creates(id)).length > 0 || undefined),
    timeline: async (id: string) =>
      (await system.api('GET', `/api/scene-videos/${id}/timeline`)).body['data'] as Entry[],
    lateResult: (id: string) =>
      until(
        `${id}'s late result`,
        async () => (await ask.timeline(id)).find((entry) => entry.kind === 'late'),
        40_000,
      ),
    async query(sql: string, values: unknown[]): Promise<Record<string, unknown>[]> {
      const client = new pg.Client(system.internal.databaseUrl)
      await client.connect()
      return client
        .query<Record<string, unknown>>(sql, values)
        .then(({ rows }) => rows)
        .finally(() => client.end())
    },
    metric: (service: string, line: string) => metricOf(system, service, line),
  }
  return ask
}
