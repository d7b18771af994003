/**
 * MiniMax's two services on one host, each with models of its own: v2 (H3), and v1 (Hailuo), which
 * tells every error with HTTP 200 and the link of a film by a second query. Neither has a look-up
 * by own id; how the list of v2 is told is not documented. A callback's first delivery is a
 * challenge. Not yet run against the real service.
 */
import { linksOrData, unsigned, type Declaration } from '../declaration.ts'
import { bearer, type Dialect } from '../edge/dialect.ts'
import { firstText } from '../edge/fields.ts'

const hosts = {
  baseUrl: 'https://api.minimax.io',
  regions: { international: 'https://api.minimax.io', china: 'https://api.minimaxi.com' },
}

const common = {
  expectedMs: 10 * 60_000,
  // a link of v1 lives so long; of v2 it is not told
  resultLifeMs: 9 * 3_600_000,
  authenticate: bearer,
  createdId: ['task_id'],
  progressIn: 'percent',
  missingCodes: [],
} satisfies Partial<Dialect>

const codes = {
  '1004': 'bad_key',
  '1008': 'insufficient_balance',
  '1026': 'content_policy',
  '1027': 'content_policy',
  '2013': 'invalid_request',
  '1042': 'invalid_request',
} as const
const later = ['1002']
const faults = ['1000', '1001', '1024', '1033']

export const minimax: Declaration = {
  ...hosts,
  model: 'MiniMax-H3',
  models: [
    { name: 'MiniMax-H3', resolutions: ['768P', '2K'], durations: range(4, 15) },
    { name: 'MiniMax-H3-Max', resolutions: ['480P', '768P'], durations: range(5, 15) },
  ].map((model) => ({
    ...model,
    aspectRatios: ['21:9', '16:9', '4:3', '1:1', '3:4', '9:16'],
    inputs: ['text', 'image'],
  })),
  leastIntervalMs: 10_000,
  images: linksOrData,
  webhook: { ...unsigned(['task.id']), challenge: 'challenge' },
  dialect: {
    ...common,
    name: 'minimax',
    create: (input) => ({
      path: '/v2/video_generation',
      body: {
        model: input.model,
        content: [
          { type: 'text', text: input.prompt },
          ...(input.imageUrls ?? []).slice(0, 2).map((url, i) => ({
            type: 'image_url',
            image_url: { url },
            role: i === 0 ? 'first_frame' : 'last_frame',
          })),
        ],
        resolution: input.resolution?.toUpperCase(),
        duration: input.durationSeconds,
        ratio: input.aspectRatio,
        callback_url: input.callbackUrl,
      },
    }),
    get: (taskId) => ({ path: `/v2/query/video_generation/${encodeURIComponent(taskId)}` }),
    // it removes the record of what has ended
    cancel: {
      when: 'queued',
      ask: (taskId) => ({
        method: 'DELETE',
        path: `/v2/video_generation/${encodeURIComponent(taskId)}`,
      }),
    },
    task: {
      id: ['task.id'],
      status: ['task.status'],
      links: ['task.content.url'],
      reason: ['task.error'],
      reasonCode: ['task.error.code'],
    },
    words: {
      queued: 'queued',
      running: 'running',
      succeeded: 'done',
      failed: 'failed',
      cancelled: 'cancelled',
      expired: 'expired',
    },
    error: { code: ['error.type'], message: ['error.message'] },
    codes: {
      ...codes,
      authorized_error: 'bad_key',
      insufficient_balance_error: 'insufficient_balance',
      unprocessable_entity_error: 'content_policy',
      bad_request_error: 'invalid_request',
    },
    statuses: {},
    laterCodes: ['rate_limit_error'],
  },
}

export const minimaxHailuo: Declaration = {
  ...hosts,
  model: 'MiniMax-Hailuo-2.3',
  models: [
    {
      name: 'MiniMax-Hailuo-2.3',
      durations: [6, 10],
      resolutions: ['768P', '1080P'],
      inputs: ['text', 'image'],
    },
  ],
  leastIntervalMs: 10_000,
  // each retrieval of its file gives a new link
  renewsLinks: true,
  images: linksOrData,
  webhook: { ...unsigned(['task_id']), challenge: 'challenge' },
  dialect: {
    ...common,
    name: 'minimax-hailuo',
    create: (input) => ({
      path: '/v1/video_generation',
      body: {
        model: input.model,
        prompt: input.prompt,
        first_frame_image: input.imageUrls?.[0],
        last_frame_image: input.imageUrls?.[1],
        duration: input.durationSeconds,
        resolution: input.resolution?.toUpperCase(),
        callback_url: input.callbackUrl,
      },
    }),
    get: (taskId) => ({
      path: `/v1/query/video_generation?task_id=${encodeURIComponent(taskId)}`,
    }),
    result: {
      ask: (answer) => {
        const file = firstText(answer, ['file_id'])
        return file === null
          ? null
          : { path: `/v1/files/retrieve?file_id=${encodeURIComponent(file)}` }
      },
      links: ['file.download_url'],
    },
    task: {
      id: ['task_id'],
      status: ['status'],
      links: [],
      reason: ['base_resp.status_msg'],
      reasonCode: ['base_resp.status_code'],
    },
    words: {
      preparing: 'queued',
      queueing: 'queued',
      processing: 'running',
      success: 'done',
      fail: 'failed',
    },
    error: { code: ['base_resp.status_code'], message: ['base_resp.status_msg'] },
    codes,
    statuses: {},
    laterCodes: later,
    faultCodes: faults,
  },
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}
