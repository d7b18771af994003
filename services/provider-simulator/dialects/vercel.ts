/** Vercel AI Gateway's videos, as its open SDK speaks them: a start is repeated under its key. */
import { randomBytes } from 'node:crypto'
import {
  bearerOf,
  json,
  noRoute,
  optionalText,
  said,
  text,
  Trouble,
  type SimulatedProvider,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const troubles: Record<TroubleKind, [number, string]> = {
  bad_key: [401, 'authentication_error'],
  invalid: [400, 'invalid_request_error'],
  policy: [400, 'invalid_request_error'],
  balance: [403, 'forbidden'],
  throttled: [429, 'rate_limit_exceeded'],
  parallel: [429, 'rate_limit_exceeded'],
  busy: [424, 'failed_dependency'],
  internal: [500, 'internal_server_error'],
  missing: [404, 'not_found'],
  too_late: [404, 'not_found'],
  no_route: [404, 'not_found'],
}

function answer(view: View): Record<string, unknown> {
  switch (view.status) {
    case 'queued':
    case 'running':
      return { status: 'pending' }
    case 'strange':
      return { status: 'reticulating' }
    case 'completed':
      return {
        status: 'completed',
        videos: [{ type: 'url', url: view.link, mediaType: 'video/mp4' }],
        warnings: [],
        providerMetadata: {},
      }
    case 'failed':
    case 'expired':
      return { status: 'error', error: view.reason }
    case 'blocked':
      return { status: 'error', error: 'The video was rejected by the safety policy of its maker.' }
    case 'cancelled':
      return { status: 'cancelled' }
  }
}

export const vercel: SimulatedProvider = {
  name: 'vercel',
  account: bearerOf,
  trouble(kind, message) {
    const [status, type] = troubles[kind]
    return said({ error: { message, type, param: null } }, status)
  },
  handle(request, world) {
    const { method, path, headers } = request
    if (method !== 'POST' || !path.startsWith('/video-model/')) return noRoute()
    for (const name of ['ai-model-id', 'ai-gateway-protocol-version'])
      if (headers[name] === undefined)
        throw new Trouble('invalid', `The header ${name} is missing.`)
    if (headers['ai-video-model-specification-version'] !== '4')
      throw new Trouble('invalid', 'The specification version is not supported.')
    const body = json(request)
    if (path === '/video-model/start') {
      const { taskId } = world.create({
        taskId: `job_${randomBytes(12).toString('hex')}`,
        model: String(headers['ai-model-id']),
        prompt: text(body['prompt'], 'prompt'),
        dedupeKey: optionalText(headers['idempotency-key']),
        callbackUrl: optionalText(body['callbackUrl']),
      })
      return said({ operation: { gatewayJobId: taskId }, warnings: [], providerMetadata: {} })
    }
    if (path !== '/video-model/status') return noRoute()
    const { gatewayJobId } = (body['operation'] ?? {}) as Record<string, unknown>
    return said(answer(world.find(text(gatewayJobId, 'operation'), 'task')))
  },
}
