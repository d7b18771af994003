/**
 * xAI Grok Imagine: `POST /videos/generations`, `GET /videos/{request_id}`. A query is answered
 * 202, at times without a body, until the task has ended; what moderation held back comes as a
 * success without a link. No look-up, list, cancel or webhook. Not yet run against the real
 * service.
 */
import { linksOrData, type Declaration } from '../declaration.ts'
import { bearer } from '../edge/dialect.ts'
import { at, firstText } from '../edge/fields.ts'

const frame = (url: string | undefined) => (url === undefined ? undefined : { url })

/** The older form of an end has a link and no status. */
function wordOf(json: unknown, httpStatus: number): string | null {
  const status = firstText(json, ['status'])
  if (status === null) {
    if (httpStatus === 202) return 'pending'
    return firstText(json, ['video.url']) === null ? null : 'done'
  }
  const isHeldBack = at(json, 'video.respect_moderation')[0] === false
  return status.toLowerCase() === 'done' && isHeldBack ? 'held back' : status
}

export const xai: Declaration = {
  baseUrl: 'https://api.x.ai/v1',
  model: 'grok-imagine-video-1.5',
  models: [
    ...['grok-imagine-video-1.5', 'grok-imagine-video'].map((name) => ({
      name,
      durations: Array.from({ length: 15 }, (_, i) => i + 1),
      aspectRatios: ['16:9', '9:16', '1:1', '4:3', '3:4', '3:2', '2:3'],
      resolutions: name.endsWith('1.5') ? ['480p', '720p', '1080p'] : ['480p', '720p'],
      inputs: ['text', 'image'] as const,
    })),
    { name: 'grok-imagine-video-1.5-lite', inputs: ['text', 'image'] },
  ],
  images: linksOrData,
  dialect: {
    name: 'xai',
    expectedMs: 10 * 60_000,
    // a link is "temporary", and no figure is documented
    resultLifeMs: 24 * 3_600_000,
    authenticate: bearer,
    create: (input) => ({
      path: '/videos/generations',
      body: {
        model: input.model,
        prompt: input.prompt,
        image: frame(input.imageUrls?.[0]),
        last_frame: frame(input.imageUrls?.[1]),
        duration: input.durationSeconds,
        aspect_ratio: input.aspectRatio,
        resolution: input.resolution,
      },
    }),
    createdId: ['request_id'],
    get: (taskId) => ({ path: `/videos/${encodeURIComponent(taskId)}` }),
    task: {
      id: ['request_id'],
      status: ['status'],
      word: wordOf,
      progress: ['progress'],
      links: ['video.url'],
      reason: ['error'],
      reasonCode: ['error.code', 'code'],
    },
    progressIn: 'percent',
    words: {
      pending: 'running',
      done: 'done',
      failed: 'failed',
      'held back': 'blocked',
      expired: 'expired',
    },
    error: { code: ['error.code', 'code'], message: ['error'] },
    codes: {},
    // its codes are sentences, and policy is told by the text alone
    codeOf: (_code, text) => {
      if (/api key/i.test(text)) return 'bad_key'
      if (/credits/i.test(text)) return 'insufficient_balance'
      return /moderation|content policy/i.test(text) ? 'content_policy' : undefined
    },
    statuses: { 400: 'invalid_request', 401: 'bad_key', 403: 'bad_key', 422: 'invalid_request' },
    laterCodes: [],
    missingCodes: [],
    missingStatus: 404,
  },
}
