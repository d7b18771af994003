/**
 * fal's queue: `POST /{model}` with the model's own input, then the addresses that the answer
 * names, of which the status has no link: the result is a second query. A failure of the model is
 * the HTTP status of its result. Not yet run against the real service.
 */
import { linksOrData, type Declaration } from '../declaration.ts'
import { keyAs, type Request } from '../edge/dialect.ts'
import { at, firstText, idsOf } from '../edge/fields.ts'
import type { CreateRequest } from '../provider.ts'
import { agrees } from './agrees.ts'
import { falWebhook } from './fal-webhook.ts'

/** Paths beneath the base URL. They hold only a part of the model's name. */
interface Handle {
  id: string
  status: string
  response: string
  cancel: string
}
const read = (handle: string) => JSON.parse(handle) as Handle

/** Of an address in an answer; never another host's, to which the key would be sent. */
function pathOf(url: string | null, model: string): string | null {
  const { pathname = '', search = '' } = URL.parse(url ?? '') ?? {}
  const start = pathname.lastIndexOf(`/${model.split('/').slice(0, 2).join('/')}/`)
  return start < 0 ? null : pathname.slice(start) + search
}

/** As the addresses of a request are, where none was told. */
function handleBy(id: string, model: string): string {
  const response = `/${model.split('/').slice(0, 2).join('/')}/requests/${id}`
  const [status, cancel] = [`${response}/status`, `${response}/cancel`]
  return JSON.stringify({ id, status, response, cancel } satisfies Handle)
}

const iso = (ms: number) => new Date(ms).toISOString()

/** The list is at another host; one who stands in for fal has it at the same. */
const platformOf = (baseUrl: string) =>
  baseUrl === 'https://queue.fal.run' ? { baseUrl: 'https://api.fal.ai' } : {}

/** In the names that most models of video use; a model has a schema of its own. */
const inputOf = (input: CreateRequest) => ({
  prompt: input.prompt,
  image_url: input.imageUrls?.[0],
  duration: input.durationSeconds === undefined ? undefined : String(input.durationSeconds),
  aspect_ratio: input.aspectRatio,
  resolution: input.resolution,
})

const wordOf = (answer: unknown): string | null => {
  const status = firstText(answer, ['status'])
  return status === 'COMPLETED' && firstText(answer, ['error', 'error_type']) ? 'FAILED' : status
}

const invalid = `image_too_small image_too_large image_load_error file_download_error file_too_large
  face_detection_error one_of multiple_of feature_not_supported missing bad_request`.split(/\s+/)
const invalidCode = /^(unsupported_.*_format|greater_than.*|less_than.*|sequence_too_.*)$/

export const fal: Declaration = {
  baseUrl: 'https://queue.fal.run',
  model: 'bytedance/seedance-2.0/text-to-video',
  models: [
    { name: 'bytedance/seedance-2.0/text-to-video', inputs: ['text'] },
    { name: 'fal-ai/kling-video/v3/standard/image-to-video', inputs: ['image'] },
  ],
  webhook: falWebhook,
  images: linksOrData,
  dialect: {
    name: 'fal',
    expectedMs: 10 * 60_000,
    resultLifeMs: 24 * 3_600_000,
    authenticate: keyAs('Key'),
    create: (input): Request => {
      const query = input.callbackUrl ? `?fal_webhook=${encodeURIComponent(input.callbackUrl)}` : ''
      return {
        path: `/${input.model.split('/').map(encodeURIComponent).join('/')}${query}`,
        // else a failed run is run again there, up to ten times
        headers: { 'x-fal-no-retry': '1' },
        body: inputOf(input),
      }
    },
    createdId: ['request_id'],
    handle: (answer, { model }) => {
      const [id] = idsOf(answer, ['request_id'])
      const [status, response, cancel] = ['status_url', 'response_url', 'cancel_url'].map((name) =>
        pathOf(firstText(answer, [name]), model),
      )
      return id && status && response && cancel
        ? JSON.stringify({ id, status, response, cancel } satisfies Handle)
        : null
    },
    handleOf: (id, { model }) => handleBy(id, model),
    idOf: (handle) => read(handle).id,
    get: (handle) => ({ path: read(handle).status }),
    result: {
      ask: (_answer, handle) => ({ path: read(handle).response }),
      links: ['video.url'],
    },
    cancel: {
      when: 'any',
      ask: (handle) => ({ method: 'PUT', path: read(handle).cancel }),
      tooLateCodes: ['already_completed'],
    },
    list: {
      // what went in is kept for 30 days
      reachMs: 30 * 24 * 3_600_000,
      // whether it holds what still waits is not documented
      provesAbsence: false,
      ask: ({ from, until, model, cursor, baseUrl }) => {
        const query = new URLSearchParams({
          endpoint_id: model,
          start: iso(from),
          end: iso(until),
          expand: 'payloads',
          limit: '100',
          ...(cursor === null ? {} : { cursor }),
        })
        return {
          ...platformOf(baseUrl),
          path: `/v1/models/requests/by-endpoint?${query.toString()}`,
        }
      },
      items: 'items[]',
      next: (answer) =>
        at(answer, 'has_more')[0] === true ? firstText(answer, ['next_cursor']) : null,
      handle: (item) => {
        const [[id], [model]] = [idsOf(item, ['request_id']), idsOf(item, ['endpoint_id'])]
        return id && model ? handleBy(id, model) : null
      },
      createdAt: ['sent_at'],
      model: ['endpoint_id'],
      prompt: ['json_input.prompt'],
      fits: (item, request) => agrees(at(item, 'json_input')[0], inputOf(request)),
    },
    task: {
      id: ['request_id'],
      status: ['status'],
      word: wordOf,
      links: [],
      reason: ['error'],
      reasonCode: ['error_type'],
    },
    progressIn: 'percent',
    words: { in_queue: 'queued', in_progress: 'running', completed: 'done', failed: 'failed' },
    error: { code: ['error_type', 'detail[].type'], message: ['detail[].msg', 'detail'] },
    codes: {
      content_policy_violation: 'content_policy',
      client_cancelled: 'cancelled',
      no_media_generated: 'provider_failed',
      ...Object.fromEntries(invalid.map((code) => [code, 'invalid_request' as const])),
    },
    codeOf: (code) => (invalidCode.test(code) ? 'invalid_request' : undefined),
    statuses: { 401: 'bad_key', 403: 'bad_key', 404: 'invalid_request', 422: 'invalid_request' },
    laterCodes: [],
    missingCodes: [],
  },
}
