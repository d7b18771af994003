/**
 * Volcengine Ark and BytePlus ModelArk (Seedance): two sites of one format; keys and models of one
 * are unknown at the other. Our own id goes into `safety_identifier`, meant for the id of an end
 * user, which the list repeats: a lost create is found there. Not yet run against the real service.
 */
import { z } from 'zod'
import { extraSettings, linksOrData, unsigned, type Declaration } from '../declaration.ts'
import { bearer, type Dialect } from '../edge/dialect.ts'
import { pageNumbers } from '../edge/listing.ts'

const path = '/contents/generations/tasks'
const pageSize = 500
const policy = [
  'sensitivecontentdetected',
  ...['text', 'image', 'video', 'audio'].flatMap((kind) =>
    ['input', 'output'].map((side) => `${side}${kind}sensitivecontentdetected`),
  ),
  'inputmediamaycontainrealperson',
]

export const ark: Declaration = {
  baseUrl: 'https://ark.cn-beijing.volces.com/api/v3',
  ownHosts: ['volces.com', 'bytepluses.com'],
  model: 'doubao-seedance-2-0-260128',
  models: [
    {
      name: 'doubao-seedance-2-0-260128',
      durations: [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
      aspectRatios: ['16:9', '9:16', '1:1', '4:3', '3:4', '21:9', 'adaptive'],
      resolutions: ['480p', '720p', '1080p', '4k'],
      inputs: ['text', 'image'],
    },
  ],
  settings: extraSettings(
    {
      SAFETY_IDENTIFIER: z
        .stringbool()
        .default(true)
        .describe(
          'False where the field is refused, as a reseller may: our own id is then not sent, and a lost answer ends in `submission_unknown`.',
        ),
    },
    (dialect, { SAFETY_IDENTIFIER }) => (SAFETY_IDENTIFIER ? dialect : unmarked(dialect)),
  ),
  webhook: unsigned(['id']),
  images: linksOrData,
  dialect: {
    name: 'ark',
    expectedMs: 10 * 60_000,
    resultLifeMs: 24 * 3_600_000,
    authenticate: bearer,
    // a field that a model does not take is refused: only what was asked for is sent
    create: (input) => ({
      path,
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
        ratio: input.aspectRatio,
        resolution: input.resolution,
        duration: input.durationSeconds,
        callback_url: input.callbackUrl,
        safety_identifier: input.ownId,
      },
    }),
    createdId: ['id'],
    get: (taskId) => ({ path: `${path}/${encodeURIComponent(taskId)}` }),
    list: {
      reachMs: 7 * 24 * 3_600_000,
      ask: ({ model, cursor }) => ({
        path: `${path}?page_num=${cursor ?? 1}&page_size=${pageSize}&filter.model=${encodeURIComponent(model)}`,
      }),
      items: 'items[]',
      next: pageNumbers('items[]'),
      mark: ['safety_identifier'],
      mayLackMark: true,
      createdAt: ['created_at'],
      model: ['model'],
    },
    // it also removes the record of what has ended
    cancel: {
      when: 'queued',
      ask: (taskId) => ({ method: 'DELETE', path: `${path}/${encodeURIComponent(taskId)}` }),
      tooLateCodes: ['taskrunningcannotcancel'],
    },
    task: {
      id: ['id'],
      ownId: ['safety_identifier'],
      status: ['status'],
      links: ['content.video_url'],
      reason: ['error'],
      reasonCode: ['error.code'],
    },
    progressIn: 'percent',
    words: {
      queued: 'queued',
      running: 'running',
      succeeded: 'done',
      failed: 'failed',
      cancelled: 'cancelled',
      expired: 'expired',
    },
    error: { code: ['error.code'], message: ['error'] },
    codes: {
      ...Object.fromEntries(policy.map((code) => [code, 'content_policy' as const])),
      authenticationerror: 'bad_key',
      accessdenied: 'bad_key',
      accountoverdueerror: 'insufficient_balance',
      serviceoverdue: 'insufficient_balance',
      setlimitexceeded: 'insufficient_balance',
    },
    statuses: { 400: 'invalid_request', 401: 'bad_key' },
    laterCodes: ['ratelimitexceeded', 'serveroverloaded'],
    missingCodes: [],
    missingStatus: 404,
    many: {
      most: 100,
      ask: (ids) => ({
        path: `${path}?page_num=1&page_size=${pageSize}&${ids
          .map((id) => `filter.task_ids=${encodeURIComponent(id)}`)
          .join('&')}`,
      }),
      tasks: 'items[]',
    },
  },
}

/** Without our own id there is nothing to be found in the list: its items tell no prompt. */
const unmarked = (dialect: Dialect): Dialect => ({
  ...dialect,
  list: undefined,
  create: (input, account) => {
    const request = dialect.create(input, account)
    if ('refused' in request) return request
    return { ...request, body: { ...(request.body as object), safety_identifier: undefined } }
  },
})
