/**
 * The shape of `POST /videos`, `GET /videos/{id}` that relays copied and let drift: the synonyms
 * and the several places of a result are part of it. No look-up by own id, no webhook. Not yet run
 * against a real relay.
 */
import { linksOrData, type Declaration } from '../declaration.ts'
import { bearer, commonCodes } from '../edge/dialect.ts'

const sizes: Record<string, string> = {
  '9:16': '720x1280',
  '16:9': '1280x720',
  '9:16 1080p': '1024x1792',
  '16:9 1080p': '1792x1024',
}
const sizeOf = (aspectRatio: string | undefined, resolution: string | undefined) =>
  sizes[`${aspectRatio} ${resolution}`] ?? sizes[aspectRatio ?? '']

export const openaiVideos: Declaration = {
  baseUrl: 'https://api.openai.com/v1',
  model: 'sora-2',
  models: [
    {
      name: 'sora-2',
      durations: [4, 8, 12],
      aspectRatios: ['9:16', '16:9'],
      inputs: ['text', 'image'],
    },
  ],
  images: linksOrData,
  dialect: {
    name: 'openai-videos',
    expectedMs: 10 * 60_000,
    resultLifeMs: 24 * 3_600_000,
    authenticate: bearer,
    create: (input) => ({
      path: '/videos',
      body: {
        model: input.model,
        prompt: input.prompt,
        seconds: input.durationSeconds === undefined ? undefined : String(input.durationSeconds),
        size: sizeOf(input.aspectRatio, input.resolution),
        input_reference: input.imageUrls?.[0] && { image_url: input.imageUrls[0] },
      },
    }),
    createdId: ['id', 'task_id', 'data.task_id'],
    get: (taskId) => ({ path: `/videos/${encodeURIComponent(taskId)}` }),
    task: {
      id: ['id', 'task_id', 'data.task_id'],
      // the outer status: what a relay wraps may be out of date
      status: ['status', 'data.status'],
      progress: ['progress', 'data.progress'],
      links: [
        'metadata.url',
        'url',
        'result_url',
        'video_url',
        'data.result_url',
        'data.url',
        'output[].url',
      ],
      expiresAt: ['expires_at'],
      completedAt: ['completed_at'],
      reason: ['error', 'fail_reason', 'data.fail_reason'],
      reasonCode: ['error.code'],
    },
    progressIn: 'percent',
    words: {
      ...words('queued', 'queued queueing preparing submitted pending created not_start'),
      ...words('running', 'in_progress running processing generating'),
      ...words('done', 'completed complete succeeded succeed success done'),
      ...words('failed', 'failed failure fail error'),
      ...words('cancelled', 'cancelled canceled'),
      expired: 'expired',
    },
    error: { code: ['error.code', 'code'], message: ['error', 'message'] },
    codes: commonCodes,
    statuses: { 401: 'bad_key', 402: 'insufficient_balance' },
    laterCodes: ['rate_limit_exceeded'],
    missingCodes: ['task_not_exist', 'task_not_found', 'not_found'],
  },
}

function words<const T extends string>(meaning: T, list: string): Record<string, T> {
  return Object.fromEntries(list.split(' ').map((word) => [word, meaning]))
}
