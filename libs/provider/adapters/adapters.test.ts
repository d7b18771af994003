/** Each adapter beside toapis through the suite of all, in its provider's own words. */
import { conformance, type Said, type Words } from '../../../test/conformance/provider.ts'
import { describeProviders } from '../registry.ts'
import { createRestProvider } from '../rest.ts'
import { ark } from './ark.ts'
import { kling } from './kling.ts'
import { openaiVideos } from './openai-videos.ts'
import { expect, it } from 'vitest'

const said = (body: object, status = 200): Said => ({ status, body: JSON.stringify(body) })
const waiting = (status: number, body: object, retryAfter: string | undefined): Said => ({
  ...said(body, status),
  headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter },
})
const seconds = (ms: number) => ms / 1_000

const openaiError = (code: string, status: number) =>
  said({ error: { message: 'why', type: 'x', param: null, code } }, status)
const openaiTask = (body: object) => said({ id: 'task-1', object: 'video', ...body })
const openaiWords: Words = {
  sendsOwnId: false,
  accepted: (id) => [
    said({ id, object: 'video', status: 'queued', progress: 0 }),
    said({ task_id: id, status: 'NOT_START' }),
  ],
  refused: {
    invalid_request: openaiError('invalid_value', 400),
    bad_key: openaiError('invalid_api_key', 401),
    insufficient_balance: openaiError('insufficient_user_quota', 403),
    content_policy: openaiError('moderation_blocked', 400),
  },
  later: (after) => [waiting(429, { error: { code: 'rate_limit_exceeded', message: '' } }, after)],
  working: (phase, progress) =>
    openaiTask({ status: phase === 'queued' ? 'QUEUED' : 'IN_PROGRESS', progress }),
  done: (url, expiresAt) =>
    openaiTask({
      status: 'SUCCESS',
      completed_at: seconds(expiresAt) - 86_400,
      expires_at: seconds(expiresAt),
      metadata: JSON.stringify({ url }),
    }),
  failed: (message) => openaiTask({ status: 'FAILURE', fail_reason: message }),
  missing: () => said({ code: 'task_not_exist', message: 'no' }, 404),
  badKey: () => openaiError('invalid_api_key', 401),
  strange: () => openaiTask({ status: 'UNKNOWN' }),
}

const arkError = (code: string, status: number) =>
  said({ error: { code, message: 'why', param: '', type: 'BadRequest' } }, status)
const arkWords: Words = {
  sendsOwnId: false,
  tellsExpiry: false,
  tellsProgress: false,
  accepted: (id) => [said({ id })],
  refused: {
    invalid_request: arkError('InvalidParameter', 400),
    bad_key: arkError('AuthenticationError', 401),
    insufficient_balance: arkError('AccountOverdueError', 403),
    content_policy: arkError('InputTextSensitiveContentDetected.PrivacyInformation', 400),
  },
  later: (after) => [
    waiting(429, { error: { code: 'RateLimitExceeded.EndpointRPMExceeded', message: '' } }, after),
  ],
  working: (phase) => said({ id: 'task-1', status: phase }),
  done: (url) => said({ id: 'task-1', status: 'succeeded', content: { video_url: url } }),
  failed: (message) =>
    said({ id: 'task-1', status: 'failed', error: { code: 'InternalError', message } }),
  missing: () => arkError('ResourceNotFound', 404),
  badKey: () => arkError('AuthenticationError', 401),
  strange: () => said({ id: 'task-1', status: 'reticulating' }),
}

const klingSaid = (code: number, status: number) => said({ code, message: 'why' }, status)
const klingTask = (body: object) =>
  said({ code: 0, data: [{ id: 'task-1', message: '', ...body }] })
const klingWords: Words = {
  tellsExpiry: false,
  tellsProgress: false,
  accepted: (id) => [said({ code: 0, message: '', data: { id, status: 'submitted' } })],
  refused: {
    invalid_request: klingSaid(1201, 400),
    bad_key: klingSaid(1002, 401),
    insufficient_balance: klingSaid(1102, 429),
    content_policy: klingSaid(1301, 400),
  },
  later: (after) => [
    waiting(429, { code: 1302, message: 'too fast' }, after),
    waiting(429, { code: 1303, message: 'too many' }, after),
  ],
  working: (phase) => klingTask({ status: phase === 'queued' ? 'submitted' : 'processing' }),
  done: (url) => klingTask({ status: 'succeeded', outputs: [{ type: 'video', url }] }),
  failed: (message) => klingTask({ status: 'failed', message }),
  missing: () => klingSaid(1203, 404),
  badKey: () => klingSaid(1002, 401),
  strange: () => klingTask({ status: 'reticulating' }),
}

for (const [declaration, words] of [
  [openaiVideos, openaiWords],
  [ark, arkWords],
  [kling, klingWords],
] as const)
  conformance(
    declaration.dialect.name,
    (options) => createRestProvider(declaration.dialect, { ...options, allowPrivate: true }),
    words,
  )

it('describes every provider, with what may be promised of a lost create', () => {
  expect(describeProviders().map(({ name, guarantee }) => [name, guarantee])).toEqual([
    ['toapis', 'proven'],
    ['fal', 'by_match'],
    ['ark', 'none'],
    ['kling', 'proven'],
    ['openai-videos', 'none'],
    ['xai', 'none'],
    ['runway', 'none'],
    ['openrouter', 'none'],
    ['replicate', 'by_match'],
    ['vercel', 'by_key'],
    ['luma', 'none'],
    ['luma-dream-machine', 'by_match'],
  ])
  expect(describeProviders(['nobody'])).toEqual([])
})
