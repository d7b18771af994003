/** Kling's new standard (the model in the path), as publicly documented. */
import { createHmac } from 'node:crypto'
import {
  bearerOf,
  digits,
  json,
  noRoute,
  optionalText,
  said,
  seconds,
  text,
  Trouble,
  type Delivery,
  type SimulatedProvider,
  type Status,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const create = /^\/(text-to-video|image-to-video|omni-video)\/([^/]+)$/
const troubles: Record<TroubleKind, [number, number]> = {
  bad_key: [401, 1002],
  invalid: [400, 1201],
  policy: [400, 1301],
  balance: [429, 1102],
  throttled: [429, 1302],
  parallel: [429, 1303],
  busy: [503, 5001],
  internal: [500, 5000],
  missing: [404, 1203],
  too_late: [404, 1202],
  no_route: [404, 1202],
}
export const words: Record<Status, string> = {
  queued: 'submitted',
  running: 'processing',
  strange: 'reticulating',
  completed: 'succeeded',
  failed: 'failed',
  blocked: 'failed',
  expired: 'failed',
  cancelled: 'failed',
}

const task = (view: View): Record<string, unknown> => ({
  id: view.taskId,
  status: words[view.status],
  message: words[view.status] === 'failed' ? view.reason : '',
  external_id: view.ownId ?? '',
  create_time: view.createdAt,
  update_time: view.endedAt ?? view.startsAt,
  ...(view.status === 'completed'
    ? { outputs: [{ type: 'video', id: view.taskId, url: view.link, duration: '5' }] }
    : {}),
})
export const well = (data: unknown) =>
  said({ code: 0, message: 'SUCCEED', request_id: 'request-1', data })

export const kling: SimulatedProvider = {
  name: 'kling',
  account: bearerOf,
  trouble(kind, message) {
    const [status, code] = troubles[kind]
    return { status, body: { code, message, request_id: 'request-1' } }
  },
  handle(request, world) {
    const { method, path, query } = request
    const [, , model] = create.exec(path) ?? []
    if (method === 'POST' && model !== undefined) {
      const body = json(request)
      const contents = (body['contents'] ?? []) as { type?: string; text?: string }[]
      const settings = (body['settings'] ?? {}) as Record<string, unknown>
      const options = (body['options'] ?? {}) as Record<string, unknown>
      const { duration } = settings
      if (duration !== undefined && !Number.isInteger(duration))
        throw new Trouble('invalid', 'settings.duration is a whole number of seconds.')
      const view = world.create({
        taskId: digits(18, world.now),
        model: decodeURIComponent(model),
        prompt: text(
          body['prompt'] ?? contents.find(({ type }) => type === 'prompt')?.text,
          'prompt',
        ),
        ownId: optionalText(options['external_task_id']),
        callbackUrl: optionalText(options['callback_url']),
      })
      return well({ ...task(view), status: 'submitted' })
    }
    if (method === 'GET' && path === '/tasks') {
      const [ids, ownIds] = [query.get('task_ids'), query.get('external_task_ids')]
      if ((ids === null) === (ownIds === null))
        throw new Trouble('invalid', 'Give either task_ids or external_task_ids.')
      const asked = (ids ?? ownIds ?? '').split(',')
      const by = ids === null ? 'own' : 'task'
      return well(
        asked.length === 1
          ? [task(world.find(asked[0]!, by))]
          : world.findMany(asked, by).map(task),
      )
    }
    if (method === 'POST' && path === '/tasks') {
      const { start_time: from, end_time: to, cursor, limit = 100 } = json(request)
      const all = world.list(Number(from ?? 0), Number(to ?? world.now))
      const start = Number(cursor || 0)
      const end = start + Math.min(500, Number(limit))
      return well({
        result: all.slice(start, end).map(task),
        count: all.length,
        next_cursor: end < all.length ? String(end) : '',
      })
    }
    return noRoute()
  },
  webhook: (view, secret, now) => signed(view.taskId, JSON.stringify(task(view)), secret, now),
}

/** A Standard Webhook, once there is a secret. */
export function signed(id: string, body: string, secret: string | null, now: number): Delivery {
  if (secret === null) return { headers: {}, body }
  const at = String(seconds(now))
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')
  return {
    headers: { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': `v1,${signature}` },
    body,
  }
}
