/**
 * Vercel AI Gateway: `POST /video-model/start`, `POST /video-model/status`; the model is a header.
 * A start is repeated under its `idempotency-key` and answers with the same operation, which is
 * JSON and asked for whole. Results inside an answer (base64) are not taken, only links. Written
 * from its SDK, `@ai-sdk/gateway`; not yet run against the real service.
 */
import type { Declaration } from '../declaration.ts'
import { keyAs } from '../edge/dialect.ts'
import { at, parseAsWritten } from '../edge/fields.ts'
import { inline } from './inline.ts'
import { namesPolicy } from './policy.ts'

interface Handle {
  model: string
  operation: unknown
}
// rule: an operation is asked for with every digit it came with
const read = (handle: string) => parseAsWritten(handle) as Handle

const of = (model: string) => ({
  'ai-gateway-protocol-version': '0.0.1',
  'ai-gateway-auth-method': 'api-key',
  'ai-video-model-specification-version': '4',
  'ai-model-id': model,
})
function frame(url: string) {
  const data = inline(url)
  return data ? { type: 'file', mediaType: data.type, data: data.data } : { type: 'url', url }
}

export const vercel: Declaration = {
  baseUrl: 'https://ai-gateway.vercel.sh/v4/ai',
  model: 'bytedance/seedance-2.0',
  models: [{ name: 'bytedance/seedance-2.0', inputs: ['text', 'image'] }],
  images: { links: true, dataBytes: 10 * 1024 * 1024 },
  dialect: {
    name: 'vercel',
    expectedMs: 10 * 60_000,
    // the maker's own, which is not told
    resultLifeMs: 24 * 3_600_000,
    authenticate: keyAs('Bearer'),
    create: (input) => {
      const [first, last] = input.imageUrls ?? []
      return {
        path: '/video-model/start',
        headers: { ...of(input.model), 'idempotency-key': input.ownId },
        body: {
          prompt: input.prompt,
          n: 1,
          aspectRatio: input.aspectRatio,
          resolution: input.resolution,
          duration: input.durationSeconds,
          image: first && frame(first),
          frameImages: last && [{ image: frame(last), frameType: 'last_frame' }],
          callbackUrl: input.callbackUrl,
        },
      }
    },
    createdId: [],
    handle: (_answer, { model }, text) => {
      const [operation] = at(parseAsWritten(text), 'operation')
      return operation === undefined ? null : JSON.stringify({ model, operation })
    },
    // how long a key is kept is not published: it is repeated soon, or not at all
    repeat: { withinMs: 10 * 60_000 },
    get: (handle) => {
      const { model, operation } = read(handle)
      return { path: '/video-model/status', headers: of(model), body: { operation } }
    },
    task: { id: [], status: ['status'], links: ['videos[].url'], reason: ['error'] },
    progressIn: 'percent',
    words: { pending: 'running', completed: 'done', error: 'failed', cancelled: 'cancelled' },
    error: { code: ['error.type'], message: ['error.message'] },
    codes: {
      authentication_error: 'bad_key',
      forbidden: 'bad_key',
      invalid_request_error: 'invalid_request',
      model_not_found: 'invalid_request',
    },
    codeOf: (code, text) => (code === '' && namesPolicy(text) ? 'content_policy' : undefined),
    statuses: {},
    laterCodes: ['rate_limit_exceeded', 'failed_dependency'],
    missingCodes: ['not_found'],
  },
}
