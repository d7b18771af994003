/**
 * toapis: `POST /videos/generations`, `GET /videos/generations/{task id | own id}`. It can look up
 * by own id and cannot cancel. Wire format: its public documentation. That says that up to 100
 * tasks may be asked for at once, but not under which path: whoever has been told sets it.
 */
import { z } from 'zod'
import { extraSettings, type Declaration } from './declaration.ts'
import { bearer, commonCodes, type Dialect } from './edge/dialect.ts'
import { toapisWebhook } from './toapis-webhook.ts'

const path = '/videos/generations'
const byId = (id: string) => ({ path: `${path}/${encodeURIComponent(id)}` })

const dialect: Dialect = {
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
  limitPerMs: 60_000,
}

export const toapis: Declaration = {
  dialect,
  baseUrl: 'https://toapis.com/v1',
  // FIND_BY_OWN_ID says where it is not so
  isWholeAnywhere: true,
  model: 'sora-2',
  models: [{ name: 'sora-2', inputs: ['text', 'image'] }],
  // creates: 300 a minute, but more in the higher tiers, which its first answer tells
  budget: { queryPerSecond: 50, queryBurst: 500 },
  webhook: toapisWebhook,
  settings: extraSettings(
    {
      FIND_BY_OWN_ID: z
        .stringbool()
        .default(true)
        .describe(
          'False for services of the same format that do not keep our own id: a lost answer then ends in `submission_unknown`.',
        ),
      BATCH_PATH: z
        .string()
        .startsWith('/')
        .optional()
        .describe(
          'Where, under a base URL, up to 100 tasks can be asked for by one query, as `POST {ids}`; it is told to customers only.',
        ),
    },
    ({ find, ...rest }, { FIND_BY_OWN_ID, BATCH_PATH: batchPath }) => ({
      ...rest,
      ...(FIND_BY_OWN_ID && find ? { find } : {}),
      ...(batchPath === undefined ? {} : { many: manyAt(batchPath) }),
    }),
  ),
}

const manyAt = (path: string): NonNullable<Dialect['many']> => ({
  most: 100,
  ask: (ids) => ({ path, body: { ids } }),
  tasks: 'data[]',
})
