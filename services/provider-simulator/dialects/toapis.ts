/** toapis, as publicly documented; its batch path is not public, `/batch` is ours. */
import { createHmac, randomBytes } from 'node:crypto'
import {
  json,
  noRoute,
  optionalText,
  said,
  seconds,
  text,
  type SimulatedProvider,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const base = '/videos/generations'
const troubles: Record<TroubleKind, [number, string]> = {
  bad_key: [401, 'invalid_api_key'],
  invalid: [400, 'invalid_request'],
  policy: [422, 'content_policy_violation'],
  balance: [402, 'insufficient_balance'],
  throttled: [429, 'rate_limit_exceeded'],
  parallel: [429, 'rate_limit_exceeded'],
  busy: [503, 'rate_limit_unavailable'],
  internal: [500, 'internal_error'],
  missing: [404, 'task_not_found'],
  too_late: [404, 'not_found'],
  no_route: [404, 'not_found'],
}
const words = { queued: 'queued', running: 'in_progress', strange: 'reticulating' }

function task(view: View): Record<string, unknown> {
  const common = {
    id: view.taskId,
    object: 'generation.task',
    model: view.model,
    created_at: seconds(view.createdAt),
  }
  if (view.status === 'queued' || view.status === 'running' || view.status === 'strange')
    return { ...common, status: words[view.status], progress: view.progress }
  const ended = { ...common, completed_at: seconds(view.endedAt ?? view.createdAt) }
  if (view.status === 'completed')
    return {
      ...ended,
      status: 'completed',
      progress: 100,
      expires_at: seconds(view.expiresAt),
      result: { type: 'video', data: [{ url: view.link, format: 'mp4' }] },
    }
  const code = view.status === 'blocked' ? 'content_policy_violation' : 'generation_failed'
  return { ...ended, status: 'failed', progress: 0, error: { code, message: view.reason } }
}

export const toapis: SimulatedProvider = {
  name: 'toapis',
  tellsBudget: true,
  account: ({ headers }) => /^Bearer (sk-\S+)$/.exec(headers.authorization ?? '')?.[1] ?? null,
  trouble(kind, message) {
    const [status, code] = troubles[kind]
    return { status, body: { error: { code, message } } }
  },
  handle(request, world) {
    const { method, path } = request
    if (method === 'POST' && path === base) {
      const body = json(request)
      const view = world.create({
        taskId: `video_${randomBytes(12).toString('hex')}`,
        model: text(body['model'], 'model'),
        prompt: text(body['prompt'], 'prompt'),
        ownId: optionalText(body['client_business_id']),
      })
      return view.model.startsWith('seedance')
        ? said({ code: 200, data: [{ status: 'submitted', task_id: view.taskId }] })
        : said({ ...task(view), metadata: {} })
    }
    if (method === 'POST' && path === `${base}/batch`) {
      const { ids } = json(request)
      const asked = Array.isArray(ids) ? ids.map(String).slice(0, 100) : []
      return said({ data: world.findMany(asked, 'task').map(task) })
    }
    if (method === 'GET' && path.startsWith(`${base}/`))
      return said(task(world.find(decodeURIComponent(path.slice(base.length + 1)), 'either')))
    return noRoute()
  },
  webhook(view, secret, now) {
    const id = `wh_${view.taskId}`
    const at = seconds(now)
    const body = JSON.stringify({
      id,
      type: `generation.${view.status === 'completed' ? 'completed' : 'failed'}`,
      api_version: '2026-01-01',
      created_at: at,
      data: {
        task_id: view.taskId,
        client_business_id: view.ownId,
        task_type: 'video',
        ...task(view),
        submitted_at: seconds(view.createdAt),
        finished_at: seconds(view.endedAt ?? now),
      },
    })
    const signature = createHmac('sha256', secret ?? '')
      .update(`${id}.${at}.${body}`)
      .digest('hex')
    return {
      headers: {
        'User-Agent': 'ToAPIs-Webhook/1.0',
        'X-ToAPIs-Webhook-Id': id,
        'X-ToAPIs-Webhook-Timestamp': String(at),
        'X-ToAPIs-Webhook-Signature': `v1=${signature}`,
      },
      body,
    }
  },
}
