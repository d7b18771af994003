/**
 * Luma's two services, each with keys of its own: the Agents API (Ray 3.2), and the older Dream
 * Machine API (Ray 2), whose `GET /generations` lists what was made. What the newer one can beside
 * making and asking is not documented. Not yet run against the real services.
 */
import { unsigned, type Declaration } from '../declaration.ts'
import { bearer, type Dialect } from '../edge/dialect.ts'
import { at } from '../edge/fields.ts'
import { namesPolicy } from './policy.ts'

const seconds = (duration: number | undefined) =>
  duration === undefined ? undefined : `${duration}s`

const common = {
  expectedMs: 10 * 60_000,
  authenticate: bearer,
  createdId: ['id'],
  get: (taskId) => ({ path: `/generations/${encodeURIComponent(taskId)}` }),
  progressIn: 'percent',
  words: {
    queued: 'queued',
    dreaming: 'running',
    processing: 'running',
    completed: 'done',
    failed: 'failed',
  },
  error: { code: [], message: ['detail'] },
  codes: {},
  codeOf: (_code, text) => (namesPolicy(text) ? 'content_policy' : undefined),
  statuses: {
    400: 'invalid_request',
    401: 'bad_key',
    402: 'insufficient_balance',
    403: 'bad_key',
    413: 'invalid_request',
    422: 'invalid_request',
  },
  laterCodes: [],
  missingCodes: [],
} satisfies Partial<Dialect>

const task = {
  id: ['id'],
  status: ['state'],
  reason: ['failure_reason'],
} as const

export const luma: Declaration = {
  baseUrl: 'https://agents.lumalabs.ai/v1',
  model: 'ray-3.2',
  models: [
    {
      name: 'ray-3.2',
      durations: [5, 10],
      aspectRatios: ['9:16', '3:4', '1:1', '4:3', '16:9', '21:9'],
      resolutions: ['360p', '540p', '720p', '1080p'],
      inputs: ['text', 'image'],
    },
  ],
  dialect: {
    ...common,
    name: 'luma',
    // a link lives an hour
    resultLifeMs: 3_600_000,
    create: (input) => {
      const [start_frame, end_frame] = (input.imageUrls ?? []).map((url) => ({ url }))
      return {
        path: '/generations',
        body: {
          model: input.model,
          type: 'video',
          prompt: input.prompt,
          aspect_ratio: input.aspectRatio,
          video: {
            resolution: input.resolution,
            duration: seconds(input.durationSeconds),
            start_frame,
            end_frame,
          },
        },
      }
    },
    task: { ...task, links: ['output[type=video].url'] },
  },
}

export const lumaDreamMachine: Declaration = {
  baseUrl: 'https://api.lumalabs.ai/dream-machine/v1',
  model: 'ray-2',
  models: ['ray-2', 'ray-flash-2'].map((name) => ({
    name,
    durations: [5, 9],
    resolutions: ['540p', '720p', '1080p', '4k'],
    inputs: ['text', 'image'],
  })),
  webhook: unsigned(['id']),
  dialect: {
    ...common,
    name: 'luma-dream-machine',
    // not stated
    resultLifeMs: 24 * 3_600_000,
    create: (input) => {
      const [frame0, frame1] = (input.imageUrls ?? []).map((url) => ({ type: 'image', url }))
      return {
        path: '/generations/video',
        body: {
          model: input.model,
          prompt: input.prompt,
          aspect_ratio: input.aspectRatio,
          duration: seconds(input.durationSeconds),
          resolution: input.resolution,
          keyframes: frame0 && { frame0, frame1 },
          callback_url: input.callbackUrl,
        },
      }
    },
    task: { ...task, links: ['assets.video'], prompt: ['request.prompt'] },
    cancel: {
      when: 'any',
      ask: (taskId) => ({ ...common.get(taskId), method: 'DELETE' }),
    },
    list: {
      reachMs: 24 * 3_600_000,
      ask: ({ cursor }) => ({ path: `/generations?limit=100&offset=${cursor ?? 0}` }),
      items: 'generations[]',
      // a page may hold less than is asked for
      next: (answer, cursor) => {
        const { length } = at(answer, 'generations[]')
        const hasMore = at(answer, 'has_more')[0]
        if (typeof hasMore !== 'boolean' && length > 0) throw new Error('it tells no end')
        return hasMore === true && length > 0 ? String(Number(cursor ?? 0) + length) : null
      },
      mark: ['request.callback_url'],
      isMarked: ({ callbackUrl }) => callbackUrl !== undefined,
      createdAt: ['created_at'],
      model: ['request.model', 'model'],
      prompt: ['request.prompt'],
    },
  },
}
