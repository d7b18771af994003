/** Luma's two services, as publicly documented: the Agents API, and the older Dream Machine API. */
import { randomUUID } from 'node:crypto'
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

const troubles: Record<TroubleKind, number> = {
  bad_key: 403,
  invalid: 422,
  policy: 400,
  balance: 402,
  throttled: 429,
  parallel: 429,
  busy: 429,
  internal: 500,
  missing: 404,
  too_late: 404,
  no_route: 404,
}
const trouble: SimulatedProvider['trouble'] = (kind, message) =>
  said({ detail: kind === 'parallel' ? 'Too many concurrent jobs' : message }, troubles[kind])

function end({ status, reason }: View) {
  if (status === 'completed') return { state: 'completed' }
  if (status === 'blocked')
    return { state: 'failed', failure_reason: 'Stopped by content moderation.' }
  return { state: 'failed', failure_reason: reason }
}
function state(view: View, running: string): Record<string, unknown> {
  if (view.status === 'queued') return { state: 'queued' }
  if (view.status === 'running') return { state: running }
  return view.status === 'strange' ? { state: 'reticulating' } : end(view)
}

/** `"5s"`, and nothing else. */
function checkDuration(duration: unknown, known: string[]): void {
  if (duration !== undefined && !known.includes(String(duration)))
    throw new Trouble('invalid', `duration must be one of ${known.join(', ')}.`)
}

const agentsTask = (view: View): Record<string, unknown> => ({
  id: view.taskId,
  type: 'video',
  model: view.model,
  ...state(view, 'processing'),
  output: view.status === 'completed' ? [{ type: 'video', url: view.link }] : [],
})

export const luma: SimulatedProvider = {
  name: 'luma',
  account: bearerOf,
  trouble,
  handle(request, world) {
    const { method, path } = request
    if (method === 'POST' && path === '/generations') {
      const body = json(request)
      if (body['type'] !== 'video') throw new Trouble('invalid', 'type must be video.')
      checkDuration((body['video'] as Record<string, unknown>)?.['duration'], ['5s', '10s'])
      const view = world.create({
        taskId: randomUUID(),
        model: text(body['model'], 'model'),
        prompt: text(body['prompt'], 'prompt'),
      })
      return said(agentsTask(view), 201)
    }
    const [, id] = /^\/generations\/([^/]+)$/.exec(path) ?? []
    if (method !== 'GET' || id === undefined) return noRoute()
    return said(agentsTask(world.find(id, 'task')))
  },
}

const dreamTask = (view: View): Record<string, unknown> => ({
  id: view.taskId,
  model: view.model,
  ...state(view, 'dreaming'),
  assets: view.status === 'completed' ? { video: view.link } : null,
  request: view.input['request'],
  created_at: new Date(view.createdAt).toISOString(),
})

export const lumaDreamMachine: SimulatedProvider = {
  name: 'luma-dream-machine',
  account: bearerOf,
  trouble,
  handle(request, world) {
    const { method, path, query } = request
    if (method === 'POST' && path === '/generations/video') {
      const body = json(request)
      checkDuration(body['duration'], ['5s', '9s'])
      const view = world.create({
        taskId: randomUUID(),
        model: text(body['model'], 'model'),
        prompt: text(body['prompt'], 'prompt'),
        input: { request: body },
        callbackUrl: optionalText(body['callback_url']),
      })
      return said(dreamTask(view), 201)
    }
    if (method === 'GET' && path === '/generations') {
      const all = world.list(0, world.now)
      const limit = Number(query.get('limit') ?? 10)
      const offset = Number(query.get('offset') ?? 0)
      const generations = all.slice(offset, offset + limit).map(dreamTask)
      return said({
        generations,
        count: generations.length,
        has_more: offset + limit < all.length,
        limit,
        offset,
      })
    }
    const [, id] = /^\/generations\/([^/]+)$/.exec(path) ?? []
    if (id === undefined) return noRoute()
    if (method === 'GET') return said(dreamTask(world.find(id, 'task')))
    if (method !== 'DELETE') return noRoute()
    world.cancel(id, 'ended')
    return said('', 204)
  },
  webhook: (view) => ({ headers: {}, body: dreamTask(view) }),
}
