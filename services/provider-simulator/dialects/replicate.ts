/** Replicate's predictions, as publicly documented: what went in and came out is removed. */
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

const pageSize = 100
const troubles: Record<TroubleKind, number> = {
  bad_key: 401,
  invalid: 422,
  policy: 422,
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
  queued: 'starting',
  running: 'processing',
  strange: 'reticulating',
  completed: 'succeeded',
  failed: 'failed',
  blocked: 'failed',
  expired: 'failed',
  cancelled: 'canceled',
}
const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())

function prediction(view: View, now: number, baseUrl: string): Record<string, unknown> {
  const { taskId: id, status, endedAt, input } = view
  const isGone = endedAt !== null && now >= view.expiresAt
  return {
    id,
    model: view.model,
    version: input['version'] ?? 'hidden',
    status: words[status],
    input: isGone ? {} : input['input'],
    output: status === 'completed' && !isGone ? view.link : null,
    error: words[status] === 'failed' ? view.reason : null,
    logs: status === 'running' ? `${view.progress}%|####` : '',
    data_removed: isGone,
    created_at: iso(view.createdAt),
    started_at: now < view.startsAt ? null : iso(view.startsAt),
    completed_at: iso(endedAt),
    webhook: input['webhook'],
    urls: { get: `${baseUrl}/predictions/${id}`, cancel: `${baseUrl}/predictions/${id}/cancel` },
  }
}

export const replicate: SimulatedProvider = {
  name: 'replicate',
  account: bearerOf,
  trouble(kind, message, retryAfter = '') {
    const status = troubles[kind]
    if (status !== 429) return said({ title: kind, detail: message, status }, status)
    const resets = /^\d+$/.test(retryAfter) ? ` Your rate limit resets in ~${retryAfter}s.` : ''
    return said({ detail: `Request was throttled.${resets}` }, status)
  },
  handle(request, world) {
    const { method, path, query, baseUrl } = request
    const shown = (view: View) => prediction(view, world.now, baseUrl)
    const [, model] = /^\/models\/([^/]+\/[^/]+)\/predictions$/.exec(path) ?? []
    if (method === 'POST' && (model !== undefined || path === '/predictions')) {
      const { version, input, webhook } = json(request)
      if (typeof input !== 'object' || input === null)
        throw new Trouble('invalid', 'input is required')
      const view = world.create({
        taskId: randomBytes(13).toString('hex'),
        model: model ?? text(version, 'version'),
        prompt: text((input as Record<string, unknown>)['prompt'], 'input.prompt'),
        input: { input, version, webhook },
        callbackUrl: optionalText(webhook),
      })
      return said(shown(view), 201)
    }
    if (method === 'GET' && path === '/predictions') {
      const [from, to] = ['created_after', 'created_before'].map((name) => query.get(name))
      const all = world.list(from ? Date.parse(from) : 0, to ? Date.parse(to) : world.now)
      const start = Number(query.get('cursor') ?? 0)
      query.set('cursor', String(start + pageSize))
      return said({
        previous: null,
        next: start + pageSize < all.length ? `${baseUrl}/predictions?${query.toString()}` : null,
        results: all.slice(start, start + pageSize).map(shown),
      })
    }
    const [, id, act] = /^\/predictions\/([^/]+)(\/cancel)?$/.exec(path) ?? []
    if (id === undefined) return noRoute()
    if (method === 'GET' && !act) return said(shown(world.find(id, 'task')))
    return method === 'POST' && act ? said(shown(world.cancel(id, 'ended'))) : noRoute()
  },
  webhook(view, secret, now) {
    const body = JSON.stringify(prediction(view, now, 'https://api.replicate.com/v1'))
    const [id, at] = [`msg_${view.taskId}`, String(seconds(now))]
    const key = Buffer.from((secret ?? '').replace(/^whsec_/, ''), 'base64')
    const signature = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')
    return {
      headers: {
        'webhook-id': id,
        'webhook-timestamp': at,
        'webhook-signature': `v1,${signature}`,
      },
      body,
    }
  },
}
