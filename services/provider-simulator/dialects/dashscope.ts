/** Alibaba's DashScope, as publicly documented: a task that is unknown is told with HTTP 200. */
import { randomUUID } from 'node:crypto'
import {
  bearerOf,
  json,
  noRoute,
  said,
  text,
  Trouble,
  type SimulatedProvider,
  type Status,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const day = 24 * 3_600_000
const troubles: Record<Exclude<TroubleKind, 'missing'>, [number, string]> = {
  bad_key: [401, 'InvalidApiKey'],
  invalid: [400, 'InvalidParameter'],
  policy: [400, 'DataInspectionFailed'],
  balance: [400, 'Arrearage'],
  throttled: [429, 'Throttling.RateQuota'],
  parallel: [429, 'Throttling'],
  busy: [429, 'ServiceOverloaded'],
  internal: [500, 'InternalError'],
  too_late: [400, 'UnsupportedOperation'],
  no_route: [404, 'NotFound'],
}
const words: Record<Status, string> = {
  queued: 'PENDING',
  running: 'RUNNING',
  strange: 'RETICULATING',
  completed: 'SUCCEEDED',
  failed: 'FAILED',
  blocked: 'FAILED',
  expired: 'FAILED',
  cancelled: 'CANCELED',
}
/** In Beijing's time, without a zone. */
const local = (ms: number) =>
  new Date(ms + 8 * 3_600_000).toISOString().replace('T', ' ').replace('Z', '')
const codes: Partial<Record<Status, string>> = {
  failed: 'InternalError.Algo',
  blocked: 'DataInspectionFailed',
  expired: 'InternalError.Timeout',
}

const task = (view: View) => ({
  request_id: 'request-1',
  output: {
    task_id: view.taskId,
    task_status: words[view.status],
    submit_time: local(view.createdAt),
    ...(view.status === 'completed'
      ? { end_time: local(view.endedAt ?? 0), orig_prompt: view.prompt, video_url: view.link }
      : {}),
    ...(words[view.status] === 'FAILED' ? { code: codes[view.status], message: view.reason } : {}),
  },
})
const item = (view: View) => ({
  task_id: view.taskId,
  status: words[view.status],
  model_name: view.model,
  gmt_create: view.createdAt,
  user_api_unique_key: `apikey:v1:aigc:video-generation:video-synthesis:${view.model}`,
})

export const dashscope: SimulatedProvider = {
  name: 'dashscope',
  account: bearerOf,
  trouble(kind, message) {
    if (kind === 'missing')
      return said({ request_id: 'request-1', output: { task_status: 'UNKNOWN' } })
    const [status, code] = troubles[kind]
    return said({ code, message, request_id: 'request-1' }, status)
  },
  handle(request, world) {
    const { method, path, query, headers } = request
    if (method === 'POST' && path === '/services/aigc/video-generation/video-synthesis') {
      if (headers['x-dashscope-async'] !== 'enable')
        throw new Trouble('invalid', 'current user api does not support synchronous calls.')
      const { model, input, parameters } = json(request)
      const { prompt, media } = (input ?? {}) as { prompt?: string; media?: unknown[] }
      if (media && (parameters as { ratio?: string } | undefined)?.ratio !== undefined)
        throw new Trouble('invalid', 'ratio does not go with a first frame.')
      const { taskId: task_id } = world.create({
        taskId: randomUUID(),
        model: text(model, 'model'),
        prompt: text(prompt, 'input.prompt'),
      })
      return said({ output: { task_status: 'PENDING', task_id }, request_id: 'request-1' })
    }
    if (method === 'GET' && path === '/tasks/') {
      const model = query.get('model_name')
      const all = world
        .list(world.now - day, world.now)
        .filter((view) => [null, view.model].includes(model))
      const size = Math.min(10, Number(query.get('page_size') ?? 10))
      const page = Number(query.get('page_no') ?? 1)
      return said({
        total: all.length,
        total_page: Math.ceil(all.length / size),
        page_no: page,
        page_size: size,
        data: all.slice((page - 1) * size, page * size).map(item),
      })
    }
    const [, id, act] = /^\/tasks\/([^/]+)(\/cancel)?$/.exec(path) ?? []
    if (id === undefined) return noRoute()
    if (method === 'GET' && !act) {
      const view = world.find(id, 'task')
      if (world.now - view.createdAt > day) throw new Trouble('missing', 'older than 24 hours')
      return said(task(view))
    }
    if (method !== 'POST' || !act) return noRoute()
    world.cancel(id, 'started')
    return said({ request_id: 'request-1' })
  },
}
