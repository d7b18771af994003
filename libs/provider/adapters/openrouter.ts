/**
 * OpenRouter: `POST /videos`, `GET /videos/{id}`. A lost create can be found by nothing but its
 * callback. Not yet run against the real service.
 */
import { linksOrData, type Declaration, type WebhookVerifier } from '../declaration.ts'
import { bearer } from '../edge/dialect.ts'
import { firstText } from '../edge/fields.ts'
import { isFresh, isHmac } from './signatures.ts'

/** `t=<seconds>,v1=<hex>`, over the time, a comma and the body. */
const webhook: WebhookVerifier = {
  isSigned(key, { header, body }, nowSeconds) {
    const [, t = '', v1 = ''] =
      /^t=(\d+),v1=([0-9a-f]+)$/.exec(header('x-openrouter-signature')) ?? []
    return isFresh(t, nowSeconds) && isHmac(v1, 'hex', { key, text: `${t},${body}` })
  },
  ownIdIn: () => null,
  taskIdIn: (body) => firstText(body, ['data.id']),
}

const roles = ['first_frame', 'last_frame']

export const openrouter: Declaration = {
  baseUrl: 'https://openrouter.ai/api/v1',
  model: 'bytedance/seedance-2.0',
  models: [
    { name: 'bytedance/seedance-2.0', inputs: ['text', 'image'] },
    { name: 'google/veo-3.1', inputs: ['text', 'image'] },
  ],
  linkNeedsKey: true,
  webhook,
  images: linksOrData,
  dialect: {
    name: 'openrouter',
    expectedMs: 10 * 60_000,
    // how long a result is kept is not stated
    resultLifeMs: 24 * 3_600_000,
    authenticate: bearer,
    create: (input) => ({
      path: '/videos',
      body: {
        model: input.model,
        prompt: input.prompt,
        duration: input.durationSeconds,
        resolution: input.resolution,
        aspect_ratio: input.aspectRatio,
        callback_url: input.callbackUrl,
        frame_images: input.imageUrls?.slice(0, 2).map((url, i) => ({
          type: 'image_url',
          image_url: { url },
          frame_type: roles[i],
        })),
      },
    }),
    createdId: ['id'],
    get: (taskId) => ({ path: `/videos/${encodeURIComponent(taskId)}` }),
    task: {
      id: ['id'],
      status: ['status'],
      links: ['urls[]', 'unsigned_urls[]'],
      reason: ['error'],
    },
    progressIn: 'percent',
    words: {
      pending: 'queued',
      in_progress: 'running',
      completed: 'done',
      failed: 'failed',
      cancelled: 'cancelled',
      expired: 'expired',
    },
    error: { code: ['error.code'], message: ['error.message'] },
    // HTTP's own numbers, also under 200
    codes: { '400': 'invalid_request', '401': 'bad_key', '402': 'insufficient_balance' },
    // 403 is moderation, or the limit of the key
    codeOf: (code, text) =>
      code === '403' && /key limit/i.test(text) ? 'insufficient_balance' : undefined,
    statuses: {
      400: 'invalid_request',
      401: 'bad_key',
      402: 'insufficient_balance',
      403: 'content_policy',
      413: 'invalid_request',
    },
    laterCodes: ['429'],
    missingCodes: ['404'],
  },
}
