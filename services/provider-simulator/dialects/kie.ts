/** Kie.ai's jobs, as publicly documented: errors are told with HTTP 200. */
import { randomBytes } from 'node:crypto'
import {
  bearerOf,
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

const troubles: Record<TroubleKind, number> = {
  bad_key: 401,
  invalid: 422,
  policy: 422,
  balance: 402,
  throttled: 429,
  parallel: 429,
  busy: 429,
  internal: 500,
  missing: 422,
  too_late: 422,
  no_route: 404,
}
const words: Record<Status, string> = {
  queued: 'queuing',
  running: 'generating',
  strange: 'reticulating',
  completed: 'success',
  failed: 'fail',
  blocked: 'fail',
  expired: 'fail',
  cancelled: 'fail',
}

const record = ({ taskId, model, status, link, reason }: View) => ({
  taskId,
  model,
  state: words[status],
  resultJson: status === 'completed' ? JSON.stringify({ resultUrls: [link] }) : '',
  failCode: words[status] === 'fail' ? '500' : null,
  failMsg: words[status] === 'fail' ? reason : null,
})
const well = (data: object) => said({ code: 200, msg: 'success', data })

export const kie: SimulatedProvider = {
  name: 'kie',
  account: bearerOf,
  trouble: (kind, msg) =>
    said({ code: troubles[kind], msg, data: null }, kind === 'internal' ? 500 : 200),
  handle(request, world) {
    const { method, path, query } = request
    if (method === 'POST' && path === '/api/v1/jobs/createTask') {
      const body = json(request)
      const { input } = body
      if (typeof input !== 'object' || input === null)
        throw new Trouble('invalid', 'input is missing.')
      const { taskId } = world.create({
        taskId: randomBytes(16).toString('hex'),
        model: text(body['model'], 'model'),
        prompt: text((input as Record<string, unknown>)['prompt'], 'input.prompt'),
        callbackUrl: optionalText(body['callBackUrl']),
      })
      return well({ taskId })
    }
    if (method !== 'GET' || path !== '/api/v1/jobs/recordInfo') return noRoute()
    return well(record(world.find(text(query.get('taskId'), 'taskId'), 'task')))
  },
}
