/**
 * toapis: `POST /videos/generations`, `GET /videos/generations/{task id | own id}`. It can look up
 * by own id and cannot cancel. Wire format: its public documentation. That says that up to 100
 * tasks may be asked for at once, but not under which path: whoever has been told sets it.
 */
import type { Declaration } from './declaration.ts'
import { bearer, commonCodes, type Dialect } from './edge/dialect.ts'
import type { Provider } from './provider.ts'
import { createRestProvider, type RestOptions } from './rest.ts'
import { toapisWebhook } from './toapis-webhook.ts'

export interface ToapisOptions extends RestOptions {
  /** False for services that speak the same format without keeping `client_business_id`. */
  findByOwnId?: boolean
  /** Where, under a base URL, up to 100 tasks are asked for at once by `POST {ids}`. */
  batchPath?: string | undefined
}

const path = '/videos/generations'
const byId = (id: string) => ({ path: `${path}/${encodeURIComponent(id)}` })

export const toapis: Dialect = {
  name: 'toapis',
  expectedMs: 10 * 60_000,
  resultLifeMs: 24 * 3_600_000,
  authenticate: bearer,
  create: (input) => ({
    path,
    body: {
      model: input.model,
      prompt: input.prompt,
      duration: input.durationSeconds,
      aspect_ratio: input.aspectRatio,
      resolution: input.resolution,
      image_urls: input.imageUrls,
      metadata: input.metadata,
      client_business_id: input.ownId,
    },
  }),
  createdId: ['id', 'task_id', 'data[].task_id', 'data[].id', 'data.task_id', 'data.id'],
  get: byId,
  find: byId,
  task: {
    id: ['id', 'task_id'],
    ownId: ['client_business_id'],
    status: ['status'],
    progress: ['progress'],
    links: ['result.data[].url', 'result.data[]', 'result.url'],
    expiresAt: ['expires_at'],
    completedAt: ['completed_at'],
    reason: ['error', 'fail_reason', 'message'],
    reasonCode: ['error.code'],
  },
  progressIn: 'percent',
  words: {
    queued: 'queued',
    submitted: 'queued',
    in_progress: 'running',
    completed: 'done',
    failed: 'failed',
    cancelled: 'cancelled',
    canceled: 'cancelled',
    expired: 'expired',
  },
  error: { code: ['error.code', 'code'], message: ['error', 'message'] },
  codes: commonCodes,
  statuses: {
    400: 'invalid_request',
    401: 'bad_key',
    402: 'insufficient_balance',
    422: 'content_policy',
  },
  laterCodes: ['rate_limit_exceeded', 'rate_limit_unavailable'],
  missingCodes: ['task_not_found'],
}

export const toapisDeclaration: Declaration = {
  dialect: toapis,
  baseUrl: 'https://toapis.com/v1',
  model: 'sora-2',
  models: [{ name: 'sora-2', inputs: ['text', 'image'] }],
  webhook: toapisWebhook,
}

export function createToapis(options: ToapisOptions): Provider {
  const { batchPath, findByOwnId = true } = options
  const { find, ...withoutFind } = toapis
  return createRestProvider(
    {
      ...withoutFind,
      ...(findByOwnId && find ? { find } : {}),
      ...(batchPath === undefined
        ? {}
        : {
            many: {
              most: 100,
              ask: (ids) => ({ path: batchPath, body: { ids } }),
              tasks: 'data[]',
            },
          }),
    },
    options,
  )
}
