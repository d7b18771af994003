/** Vidu, as publicly documented: the own id is `payload`, repeated by every task and the list. */
import { createHmac } from 'node:crypto'
import {
  digits,
  json,
  noRoute,
  optionalText,
  said,
  text,
  Trouble,
  type SimulatedProvider,
  type Status,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const kinds = ['text2video', 'img2video', 'start-end2video', 'reference2video']
const troubles: Record<TroubleKind, [number, string]> = {
  bad_key: [401, 'Unauthorized'],
  invalid: [400, 'FieldInvalid'],
  policy: [400, 'TaskPromptPolicyViolation'],
  balance: [400, 'CreditInsufficient'],
  throttled: [429, 'TooManyRequests'],
  parallel: [429, 'QuotaExceeded'],
  busy: [429, 'SystemThrottling'],
  internal: [500, 'InternalError'],
  missing: [404, 'NotFound'],
  too_late: [400, 'BadRequest'],
  no_route: [404, 'NotFound'],
}
const words: Record<Status, string> = {
  queued: 'queueing',
  running: 'processing',
  strange: 'reticulating',
  completed: 'success',
  failed: 'failed',
  blocked: 'failed',
  expired: 'failed',
  cancelled: 'failed',
}
const codes: Partial<Record<Status, string>> = {
  failed: 'InternalServiceFailure',
  blocked: 'CreationPolicyViolation',
  expired: 'Timeout',
  cancelled: 'Cancelled',
}

const task = (view: View) => ({
  id: view.taskId,
  state: words[view.status],
  err_code: codes[view.status] ?? '',
  credits: 55,
  payload: view.ownId ?? '',
  created_at: new Date(view.createdAt).toISOString(),
  creations:
    view.status === 'completed'
      ? [{ id: view.taskId, url: view.link, cover_url: `${view.link}.jpg` }]
      : [],
})

export const vidu: SimulatedProvider = {
  name: 'vidu',
  account: ({ headers }) => /^Token (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? null,
  trouble(kind, message) {
    const [status, reason] = troubles[kind]
    return said({ code: status, reason, message, metadata: { trace_id: 'trace-1' } }, status)
  },
  handle(request, world) {
    const { method, path, query } = request
    const kind = path.replace('/ent/v2/', '')
    if (method === 'POST' && kinds.includes(kind)) {
      const { model, prompt, images, payload, callback_url, aspect_ratio, duration } = json(request)
      const count = Array.isArray(images) ? images.length : 0
      if (Math.min(count, 3) !== kinds.indexOf(kind))
        throw new Trouble('invalid', `${kind} takes another number of images.`)
      if (aspect_ratio !== undefined && (count === 1 || count === 2))
        throw new Trouble('invalid', 'aspect_ratio does not go with a frame.')
      const view = world.create({
        taskId: digits(18, world.now),
        model: text(model, 'model'),
        prompt: text(prompt, 'prompt'),
        ownId: optionalText(payload),
        callbackUrl: optionalText(callback_url),
      })
      const { id: task_id, ...rest } = task(view)
      return said({ ...rest, task_id, state: 'created', model, duration })
    }
    if (method === 'GET' && path === '/ent/v2/tasks') {
      const ids = query.getAll('task_ids')
      const size = Math.min(100, Number(query.get('pager.pagesz') ?? 10))
      const start = Number(query.get('pager.page') ?? 0) * size
      const from = Date.parse(query.get('created_at.from') ?? '')
      const all = ids.length
        ? world.findMany(ids, 'task')
        : world.list(Number.isNaN(from) ? 0 : from, world.now)
      const tasks = all.slice(start, start + size).map(task)
      return said({ tasks, next_page_token: start + size < all.length ? 'next' : '' })
    }
    const [, id, act] = /^\/ent\/v2\/tasks\/([^/]+)\/(creations|cancel)$/.exec(path) ?? []
    if (id === undefined) return noRoute()
    if (method === 'GET' && act === 'creations') return said(task(world.find(id, 'task')))
    if (method !== 'POST' || act !== 'cancel') return noRoute()
    if (json(request)['id'] !== id) throw new Trouble('invalid', 'id is missing.')
    world.cancel(id, 'started')
    return said({})
  },
  webhook(view, secret, now, url) {
    const date = new Date(now).toUTCString()
    const { pathname, search } = new URL(url)
    const text = `POST\n${pathname}\n${search.slice(1)}\nvidu\n${date}\n`
    const signature = createHmac('sha256', secret ?? '')
      .update(text)
      .digest('base64')
    return {
      headers: {
        date,
        'X-HMAC-ALGORITHM': 'hmac-sha256',
        'X-HMAC-ACCESS-KEY': 'vidu',
        'X-HMAC-SIGNED-HEADERS': '',
        'X-HMAC-SIGNATURE': signature,
      },
      body: task(view),
    }
  },
}
