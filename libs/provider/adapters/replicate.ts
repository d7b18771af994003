/**
 * Replicate: `POST /models/{owner}/{name}/predictions`, or `POST /predictions` where a version is
 * named (`owner/name:version` or the version alone). Input, output and logs are removed an hour
 * after a prediction has ended. Not yet run against the real service.
 */
import type { Declaration } from '../declaration.ts'
import { bearer } from '../edge/dialect.ts'
import { at, firstText } from '../edge/fields.ts'
import type { CreateRequest } from '../provider.ts'
import { agrees } from './agrees.ts'
import { isStandardWebhook } from './signatures.ts'

const version = /(?:^|:)([0-9a-f]{64})$/

function createPath(model: string): string {
  if (version.test(model)) return '/predictions'
  return `/models/${model.split('/').map(encodeURIComponent).join('/')}/predictions`
}

const iso = (ms: number) => new Date(ms).toISOString()

/** `next` is a whole address; what is beneath ours counts. */
function nextPage(answer: unknown): string | null {
  const { pathname, search } = URL.parse(firstText(answer, ['next']) ?? '') ?? {}
  return pathname ? pathname.slice(pathname.lastIndexOf('/predictions')) + search : null
}

function isOfModel(item: unknown, model: string): boolean {
  const asked = version.exec(model)?.[1]
  const told = firstText(item, [asked ? 'version' : 'model'])
  return told === null || told === (asked ?? model)
}

/** In the names that most models of video use; a model has a schema of its own. */
const inputOf = (input: CreateRequest) => ({
  prompt: input.prompt,
  image: input.imageUrls?.[0],
  duration: input.durationSeconds,
  resolution: input.resolution,
  aspect_ratio: input.aspectRatio,
})

export const replicate: Declaration = {
  baseUrl: 'https://api.replicate.com/v1',
  model: 'bytedance/seedance-1-pro',
  models: [],
  webhook: {
    isSigned: isStandardWebhook,
    ownIdIn: () => null,
    // one source shows it wrapped
    taskIdIn: (body) => firstText(body, ['data.id', 'id']),
  },
  // larger data is refused
  images: { links: true, dataBytes: 256 * 1024 },
  dialect: {
    name: 'replicate',
    expectedMs: 10 * 60_000,
    // a run ends after 30 minutes, a result is kept for an hour
    resultLifeMs: 90 * 60_000,
    authenticate: bearer,
    create: (input) => ({
      path: createPath(input.model),
      body: {
        version: version.exec(input.model)?.[1],
        input: inputOf(input),
        ...(input.callbackUrl && {
          webhook: input.callbackUrl,
          webhook_events_filter: ['completed'],
        }),
      },
    }),
    createdId: ['id'],
    get: (taskId) => ({ path: `/predictions/${encodeURIComponent(taskId)}` }),
    cancel: {
      when: 'any',
      ask: (taskId) => ({
        method: 'POST',
        path: `/predictions/${encodeURIComponent(taskId)}/cancel`,
      }),
    },
    // an item's input is gone an hour after its end
    list: {
      reachMs: 3_600_000,
      ask: ({ from, until, cursor }) => ({
        path: cursor ?? `/predictions?created_after=${iso(from)}&created_before=${iso(until)}`,
      }),
      items: 'results[]',
      next: nextPage,
      createdAt: ['created_at'],
      prompt: ['input.prompt'],
      fits: (item, request) =>
        isOfModel(item, request.model) && agrees(at(item, 'input')[0], inputOf(request)),
    },
    task: {
      id: ['id'],
      status: ['status'],
      word: (json) => {
        const status = firstText(json, ['status'])
        return status === 'succeeded' && at(json, 'data_removed')[0] === true ? 'removed' : status
      },
      links: ['output', 'output[]', 'output.url', 'output.video', 'output[].url'],
      reason: ['error'],
    },
    progressIn: 'percent',
    words: {
      starting: 'queued',
      processing: 'running',
      succeeded: 'done',
      removed: 'removed',
      failed: 'failed',
      canceled: 'cancelled',
      aborted: 'cancelled',
    },
    error: { code: [], message: ['detail', 'title'] },
    codes: {},
    statuses: { 400: 'invalid_request', 401: 'bad_key', 403: 'bad_key', 422: 'invalid_request' },
    laterCodes: [],
    laterSeconds: /resets in ~?(\d+)\s*s/i,
    missingCodes: [],
    missingStatus: 404,
  },
}
