/**
 * Runway, its own models and those of others under one format. Progress is a fraction; a task that
 * waits for a slot of the account is THROTTLED, and asking again gives a fresh link. No look-up by
 * own id, no list, no webhook. Not yet run against the real service.
 */
import type { Declaration } from '../declaration.ts'
import { bearer } from '../edge/dialect.ts'
import type { CreateRequest } from '../provider.ts'

/** `ratio` is in pixels at most models. */
const pixels: Record<string, string> = {
  '16:9': '1280:720',
  '9:16': '720:1280',
  '4:3': '1104:832',
  '3:4': '832:1104',
  '1:1': '960:960',
  '21:9': '1584:672',
  '16:9 1080p': '1920:1080',
  '9:16 1080p': '1080:1920',
}
const namesRatios = (model: string) => /^(hailuo3|wan3)/.test(model)

function sizeOf({ model, aspectRatio, resolution }: CreateRequest) {
  if (namesRatios(model)) return { ratio: aspectRatio, resolution }
  return {
    ratio: pixels[`${aspectRatio} ${resolution}`] ?? pixels[aspectRatio ?? ''] ?? aspectRatio,
  }
}

export const runway: Declaration = {
  baseUrl: 'https://api.dev.runwayml.com',
  model: 'gen4.5',
  models: [
    {
      name: 'gen4.5',
      durations: [2, 3, 4, 5, 6, 7, 8, 9, 10],
      aspectRatios: ['16:9', '9:16', '4:3', '3:4', '1:1', '21:9'],
      inputs: ['text', 'image'],
    },
    { name: 'gen4_turbo', durations: [2, 3, 4, 5, 6, 7, 8, 9, 10], inputs: ['image'] },
    { name: 'veo3.1', durations: [4, 6, 8], inputs: ['text', 'image'] },
  ],
  // of a data URI it takes 5 MB
  renewsLinks: true,
  images: { links: true, dataBytes: 3_700_000 },
  dialect: {
    name: 'runway',
    expectedMs: 10 * 60_000,
    resultLifeMs: 24 * 3_600_000,
    authenticate: (account, request) => {
      const { headers, secrets } = bearer(account, request)
      return { headers: { ...headers, 'x-runway-version': '2024-11-06' }, secrets }
    },
    create: (input) => {
      const [first, last] = input.imageUrls ?? []
      const body = {
        model: input.model,
        promptText: input.prompt,
        ...sizeOf(input),
        duration: input.durationSeconds,
      }
      if (first === undefined) return { path: '/v1/text_to_video', body }
      const frames = [
        { uri: first, position: 'first' },
        { uri: last, position: 'last' },
      ]
      return {
        path: '/v1/image_to_video',
        body: { ...body, promptImage: last === undefined ? first : frames },
      }
    },
    createdId: ['id'],
    get: (taskId) => ({ path: `/v1/tasks/${encodeURIComponent(taskId)}` }),
    task: {
      id: ['id'],
      status: ['status'],
      progress: ['progress'],
      links: ['output[]'],
      reason: ['failure'],
      reasonCode: ['failureCode'],
    },
    progressIn: 'fraction',
    words: {
      pending: 'queued',
      throttled: 'queued',
      running: 'running',
      succeeded: 'done',
      failed: 'failed',
      cancelled: 'cancelled',
    },
    error: { code: [], message: ['error'] },
    codes: {
      'asset.invalid': 'invalid_request',
      'third_party.input_validation': 'invalid_request',
    },
    codeOf: (code, text) => {
      if (/^(input_preprocessing\.)?safety\./.test(code)) return 'content_policy'
      // of a refusal, which has no code
      return code === '' && /credits/i.test(text) ? 'insufficient_balance' : undefined
    },
    cancel: {
      // what has ended is deleted by the same call
      when: 'any',
      ask: (taskId) => ({ method: 'DELETE', path: `/v1/tasks/${encodeURIComponent(taskId)}` }),
    },
    statuses: { 400: 'invalid_request', 401: 'bad_key', 422: 'invalid_request' },
    laterCodes: [],
    missingCodes: [],
    missingStatus: 404,
  },
}
