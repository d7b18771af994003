/** OpenRouter's videos, as publicly documented. A result is fetched with the key. */
import { createHmac, randomBytes } from 'node:crypto'
import {
  bearerOf,
  json,
  noRoute,
  optionalText,
  said,
  seconds,
  text,
  Trouble,
  type SimulatedProvider,
  type Status,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const troubles: Record<TroubleKind, number> = {
  bad_key: 401,
  invalid: 400,
  policy: 403,
  balance: 402,
  throttled: 429,
  parallel: 429,
  busy: 503,
  internal: 500,
  missing: 404,
  too_late: 404,
  no_route: 404,
}
const words: Record<Status, string> = {
  queued: 'pending',
  running: 'in_progress',
  strange: 'reticulating',
  completed: 'completed',
  failed: 'failed',
  blocked: 'failed',
  expired: 'expired',
  cancelled: 'cancelled',
}

function task(view: View, baseUrl: string): Record<string, unknown> {
  const { taskId: id, status } = view
  const common = { id, polling_url: `/api/v1/videos/${id}`, status: words[status] }
  if (status === 'completed')
    return {
      ...common,
      generation_id: id.replace('gen-vid', 'gen'),
      unsigned_urls: [`${baseUrl}/videos/${id}/content?index=0`],
      usage: { cost: 0.5, is_byok: false },
    }
  return words[status] === 'failed' ? { ...common, error: view.reason } : common
}

export const openrouter: SimulatedProvider = {
  name: 'openrouter',
  account: bearerOf,
  trouble: (kind, message) => said({ error: { code: troubles[kind], message } }, troubles[kind]),
  handle(request, world) {
    const { method, path, baseUrl } = request
    if (method === 'POST' && path === '/videos') {
      const body = json(request)
      const { duration } = body
      if (duration !== undefined && !Number.isInteger(duration))
        throw new Trouble('invalid', 'duration: expected an integer')
      const view = world.create({
        taskId: `gen-vid-${seconds(world.now)}-${randomBytes(10).toString('hex')}`,
        model: text(body['model'], 'model'),
        prompt: text(body['prompt'], 'prompt'),
        callbackUrl: optionalText(body['callback_url']),
      })
      const { id, polling_url } = task(view, baseUrl)
      return said({ id, polling_url, status: 'pending' }, 202)
    }
    const [, id, part] = /^\/videos\/([^/]+)(\/content)?$/.exec(path) ?? []
    if (method !== 'GET' || id === undefined) return noRoute()
    const view = world.find(decodeURIComponent(id), 'task')
    return part === undefined ? said(task(view, baseUrl)) : { ...said(''), isFile: true }
  },
  webhook(view, secret, now) {
    const data = task(view, 'https://openrouter.ai/api/v1')
    const body = JSON.stringify({ type: `video.generation.${words[view.status]}`, data })
    const at = seconds(now)
    const v1 = createHmac('sha256', secret ?? '')
      .update(`${at},${body}`)
      .digest('hex')
    return {
      headers: {
        'x-openrouter-idempotency-key': `${view.taskId}-${words[view.status]}`,
        ...(secret === null ? {} : { 'x-openrouter-signature': `t=${at},v1=${v1}` }),
      },
      body,
    }
  },
}
