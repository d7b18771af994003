/**
 * OpenAI's shape of `/videos`, as the original and new-api speak it. A model that begins with
 * `relay-` is answered in a maker's words, with the link in `metadata` as text.
 */
import { randomBytes } from 'node:crypto'
import {
  bearerOf,
  json,
  noRoute,
  said,
  seconds,
  text,
  type Incoming,
  type SimulatedProvider,
  type Status,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const troubles: Record<TroubleKind, [number, string]> = {
  bad_key: [401, 'invalid_api_key'],
  invalid: [400, 'invalid_value'],
  policy: [400, 'moderation_blocked'],
  balance: [403, 'insufficient_user_quota'],
  throttled: [429, 'rate_limit_exceeded'],
  parallel: [429, 'rate_limit_exceeded'],
  busy: [429, 'rate_limit_exceeded'],
  internal: [500, 'internal_error'],
  missing: [404, 'task_not_exist'],
  too_late: [404, 'not_found'],
  no_route: [404, 'unknown_url'],
}
const words: Record<Status, [string, string]> = {
  queued: ['queued', 'NOT_START'],
  running: ['in_progress', 'IN_PROGRESS'],
  strange: ['reticulating', 'UNKNOWN'],
  completed: ['completed', 'SUCCESS'],
  failed: ['failed', 'FAILURE'],
  blocked: ['failed', 'FAILURE'],
  expired: ['expired', 'expired'],
  cancelled: ['cancelled', 'canceled'],
}

function task(view: View): Record<string, unknown> {
  const { status } = view
  const isRelay = view.model.startsWith('relay-')
  return {
    id: view.taskId,
    object: 'video',
    model: view.model,
    status: words[status][isRelay ? 1 : 0],
    progress: status === 'completed' ? 100 : isRelay ? `${view.progress}%` : view.progress,
    created_at: seconds(view.createdAt),
    ...view.input,
    ...(status === 'completed'
      ? {
          completed_at: seconds(view.endedAt ?? view.createdAt),
          expires_at: seconds(view.expiresAt),
          metadata: isRelay ? JSON.stringify({ url: view.link }) : { url: view.link },
        }
      : {}),
    ...(status === 'failed' ? { error: { code: 'generation_failed', message: view.reason } } : {}),
    ...(status === 'blocked'
      ? { error: { code: 'moderation_blocked', message: view.reason } }
      : {}),
  }
}

/** JSON or a form; the original's own client sends forms. */
async function fieldsOf(request: Incoming): Promise<Record<string, unknown>> {
  const type = request.headers['content-type'] ?? ''
  if (!type.startsWith('multipart/form-data')) return json(request)
  const form = new Response(request.raw, { headers: { 'content-type': type } }).formData()
  return Object.fromEntries([...(await form)].filter(([, value]) => typeof value === 'string'))
}

export const openaiVideos: SimulatedProvider = {
  name: 'openai-videos',
  account: bearerOf,
  trouble(kind, message) {
    const [status, code] = troubles[kind]
    const type = status === 429 ? 'rate_limit_error' : 'invalid_request_error'
    return { status, body: { error: { message, type, param: null, code } } }
  },
  async handle(request, world) {
    const { method, path } = request
    if (method === 'POST' && path === '/videos') {
      const body = await fieldsOf(request)
      const { seconds: length = '4', size = '720x1280' } = body
      const view = world.create({
        taskId: `video_${randomBytes(16).toString('hex')}`,
        model: text(body['model'], 'model'),
        prompt: text(body['prompt'], 'prompt'),
        input: { seconds: String(length), size },
      })
      return said(task(view))
    }
    const [, id, part] = /^\/videos\/([^/]+)(\/content)?$/.exec(path) ?? []
    if (method !== 'GET' || id === undefined) return noRoute()
    const view = world.find(decodeURIComponent(id), 'task')
    return part === undefined ? said(task(view)) : { ...said(''), isFile: true }
  },
}
