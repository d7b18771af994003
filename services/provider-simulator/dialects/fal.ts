/**
 * fal's queue, as publicly documented, with its platform's list under `/v1`. The addresses of a
 * request hold the first two parts of its model's name.
 */
import { randomUUID } from 'node:crypto'
import {
  json,
  noRoute,
  said,
  text,
  Trouble,
  type Incoming,
  type Said,
  type SimulatedProvider,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const troubles: Record<TroubleKind, [number, string]> = {
  bad_key: [401, 'unauthorized'],
  invalid: [422, 'value_error'],
  policy: [422, 'content_policy_violation'],
  balance: [403, 'forbidden'],
  throttled: [429, 'too_many_requests'],
  parallel: [429, 'too_many_requests'],
  busy: [503, 'runner_scheduling_failure'],
  internal: [500, 'internal_error'],
  missing: [404, 'not_found'],
  too_late: [400, 'already_completed'],
  no_route: [404, 'not_found'],
}
const modelError = (type: string, msg: string) => ({
  detail: [{ loc: ['body', 'prompt'], msg, type, url: '' }],
})
const app = (view: View) => view.model.split('/').slice(0, 2).join('/')
const isOver = ({ endedAt }: View) => endedAt !== null

function statusOf(view: View, baseUrl: string): Said {
  const { taskId: request_id } = view
  const response_url = `${baseUrl}/${app(view)}/requests/${request_id}`
  const common = { request_id, response_url }
  if (view.status === 'queued')
    return said({ status: 'IN_QUEUE', queue_position: 2, ...common }, 202)
  if (view.status === 'strange') return said({ status: 'RETICULATING', ...common }, 202)
  if (!isOver(view)) return said({ status: 'IN_PROGRESS', logs: null, ...common }, 202)
  const error =
    view.status === 'cancelled'
      ? { error: 'The request was cancelled.', error_type: 'client_cancelled' }
      : view.status === 'expired'
        ? { error: 'It did not start in time.', error_type: 'startup_timeout' }
        : {}
  return said({ status: 'COMPLETED', metrics: { inference_time: 63.2 }, ...common, ...error })
}

function resultOf(view: View): Said {
  if (!isOver(view)) return said({ detail: 'Request is still in progress' }, 400)
  const file_size = 1_024
  if (view.status === 'completed')
    return said({ video: { url: view.link, content_type: 'video/mp4', file_size } })
  const type = view.status === 'blocked' ? 'content_policy_violation' : 'no_media_generated'
  return said(modelError(type, view.reason), 422)
}

/** The platform's history of a model's requests. */
function history({ query }: Incoming, views: View[]): Said {
  const limit = Number(query.get('limit') ?? 50)
  const from = Number(query.get('cursor') ?? 0)
  const all = views.filter((view) => view.model === query.get('endpoint_id'))
  const items = all.slice(from, from + limit).map((view) => ({
    request_id: view.taskId,
    endpoint_id: view.model,
    sent_at: new Date(view.createdAt).toISOString(),
    started_at: new Date(view.startsAt).toISOString(),
    ended_at: view.endedAt === null ? null : new Date(view.endedAt).toISOString(),
    ...(query.get('expand') === 'payloads' ? { json_input: view.input['body'] } : {}),
  }))
  const has_more = from + limit < all.length
  return said({ items, has_more, next_cursor: has_more ? String(from + limit) : null })
}

export const fal: SimulatedProvider = {
  name: 'fal',
  account: ({ headers }) => /^Key (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? null,
  trouble(kind, message) {
    const [status, type] = troubles[kind]
    const isOfModel = kind === 'invalid' || kind === 'policy'
    return said(
      isOfModel ? modelError(type, message) : { detail: message, error_type: type },
      status,
    )
  },
  handle(request, world) {
    const { method, path, baseUrl, query } = request
    if (path === '/v1/models/requests/by-endpoint') {
      const from = Date.parse(query.get('start') ?? '')
      const to = Date.parse(query.get('end') ?? '')
      return history(request, world.list(from || world.now - 86_400_000, to || world.now))
    }
    const [, of, id, part] = /^\/([^/]+\/[^/]+)\/requests\/([^/]+)(\/\w+)?$/.exec(path) ?? []
    if (id !== undefined) {
      const view = world.find(id, 'task')
      if (app(view) !== of) throw new Trouble('missing', 'Request not found')
      if (method === 'GET' && part === '/status') return statusOf(view, baseUrl)
      if (method === 'GET' && part === undefined) return resultOf(view)
      if (method !== 'PUT' || part !== '/cancel') return noRoute()
      world.cancel(id, 'ended')
      return said({ status: 'CANCELLATION_REQUESTED' }, 202)
    }
    if (method !== 'POST') return noRoute()
    const body = json(request)
    const model = path.slice(1)
    if (model.split('/').length < 2) throw new Trouble('no_route', 'Application not found')
    const view = world.create({
      taskId: randomUUID(),
      model,
      prompt: text(body['prompt'], 'prompt'),
      input: { body },
      callbackUrl: query.get('fal_webhook') ?? undefined,
    })
    const at = `${baseUrl}/${app(view)}/requests/${view.taskId}`
    return said({
      status: 'IN_QUEUE',
      request_id: view.taskId,
      queue_position: 3,
      status_url: `${at}/status`,
      response_url: at,
      cancel_url: `${at}/cancel`,
    })
  },
}
