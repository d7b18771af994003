/** MiniMax v2 (H3) and v1 (Hailuo), as publicly documented. */
import { randomUUID } from 'node:crypto'
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
  type SimulatedProvider,
  type Status,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const troubles: Record<TroubleKind, [number, string, number]> = {
  bad_key: [401, 'authorized_error', 1004],
  invalid: [400, 'bad_request_error', 2013],
  policy: [422, 'unprocessable_entity_error', 1026],
  balance: [402, 'insufficient_balance_error', 1008],
  throttled: [429, 'rate_limit_error', 1002],
  parallel: [429, 'rate_limit_error', 1002],
  busy: [500, 'server_error', 1000],
  internal: [500, 'server_error', 1000],
  missing: [400, 'bad_request_error', 2013],
  too_late: [400, 'bad_request_error', 2013],
  no_route: [400, 'bad_request_error', 2013],
}
const words: Record<Status, [string, string]> = {
  queued: ['queued', 'Queueing'],
  running: ['running', 'Processing'],
  strange: ['reticulating', 'Reticulating'],
  completed: ['succeeded', 'Success'],
  failed: ['failed', 'Fail'],
  blocked: ['failed', 'Fail'],
  expired: ['expired', 'Fail'],
  cancelled: ['cancelled', 'Fail'],
}

function task(view: View): Record<string, unknown> {
  const { status, reason, input } = view
  return {
    task: {
      id: view.taskId,
      model: view.model,
      status: words[status][0],
      created_at: seconds(view.createdAt),
      updated_at: seconds(view.endedAt ?? view.startsAt),
      ...input,
      ...(status === 'completed' ? { content: { url: view.link } } : {}),
      ...(status === 'failed' ? { error: { code: '1000', message: reason } } : {}),
      ...(status === 'blocked' ? { error: { code: '1027', message: reason } } : {}),
    },
  }
}

/** A callback's address, when whoever listens there says a challenge back within three seconds. */
async function listening(url: string | undefined): Promise<string | undefined> {
  const challenge = randomUUID()
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ challenge })
  const signal = AbortSignal.timeout(3_000)
  const echo =
    url && (await fetch(url, { method: 'POST', headers, body, signal }).catch(() => null))
  const echoed = echo && echo.ok && (await echo.json().catch(() => null))
  return (echoed as { challenge?: unknown } | null)?.challenge === challenge ? url : undefined
}

export const minimax: SimulatedProvider = {
  name: 'minimax',
  account: bearerOf,
  trouble(kind, message) {
    const [status, type, code] = troubles[kind]
    const error = { type, message: `${message} (${code})`, http_code: String(status) }
    return said({ type: 'error', error, request_id: 'request-1' }, status)
  },
  async handle(request, world) {
    const { method, path } = request
    if (method === 'POST' && path === '/v2/video_generation') {
      const { model, content, resolution, duration, ratio, callback_url } = json(request)
      if (!Array.isArray(content)) throw new Trouble('invalid', 'content is missing.')
      const prompt = (content as { type?: string; text?: string }[]).find(
        ({ type }) => type === 'text',
      )?.text
      const { taskId: task_id } = world.create({
        taskId: digits(15, world.now),
        model: text(model, 'model'),
        prompt: text(prompt, 'the text item'),
        input: { resolution, duration, ratio },
        callbackUrl: await listening(optionalText(callback_url)),
      })
      return said({ task_id })
    }
    const [, id] = /^\/v2\/(?:query\/)?video_generation\/([^/]+)$/.exec(path) ?? []
    if (id === undefined) return noRoute()
    if (method === 'GET' && path.includes('/query/')) return said(task(world.find(id, 'task')))
    if (method !== 'DELETE') return noRoute()
    world.cancel(id, 'started')
    return said({})
  },
  webhook: (view) => ({ headers: {}, body: task(view) }),
}

const base = (code = 0, message = 'success') => ({
  base_resp: { status_code: code, status_msg: message },
})
const fileOf = (taskId: string) => `9${taskId}`

function hailuo(view: View): Record<string, unknown> {
  const { taskId: task_id, status } = view
  const word = words[status][1]
  if (word === 'Fail')
    return {
      task_id,
      status: word,
      file_id: '',
      ...base(status === 'blocked' ? 1027 : 1000, view.reason),
    }
  const film = { file_id: fileOf(task_id), video_width: 1366, video_height: 768 }
  return { task_id, status: word, ...(status === 'completed' ? film : {}), ...base() }
}

export const minimaxHailuo: SimulatedProvider = {
  name: 'minimax-hailuo',
  account: bearerOf,
  // every error is told with HTTP 200
  trouble: (kind, message) => said(base(troubles[kind][2], message)),
  async handle(request, world) {
    const { method, path, query } = request
    if (method === 'POST' && path === '/v1/video_generation') {
      const { model, prompt, callback_url } = json(request)
      const { taskId: task_id } = world.create({
        taskId: digits(15, world.now),
        model: text(model, 'model'),
        prompt: text(prompt, 'prompt'),
        callbackUrl: await listening(optionalText(callback_url)),
      })
      return said({ task_id, ...base() })
    }
    if (method !== 'GET') return noRoute()
    if (path === '/v1/query/video_generation')
      return said(hailuo(world.find(query.get('task_id') ?? '', 'task')))
    if (path !== '/v1/files/retrieve') return noRoute()
    const { link } = world.find((query.get('file_id') ?? '').slice(1), 'task')
    // a number here, a text in the answer about the task
    const file = JSON.stringify({ purpose: 'video_generation', download_url: link })
    const name = query.get('file_id') ?? ''
    const id = /^\d+$/.test(name) ? name : JSON.stringify(name)
    return said(`{"file":{"file_id":${id},${file.slice(1)},${JSON.stringify(base()).slice(1)}`)
  },
  webhook: (view) => ({ headers: {}, body: hailuo(view) }),
}
