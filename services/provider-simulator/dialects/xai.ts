/** xAI Grok Imagine, as publicly documented: a query is answered 202 until the task has ended. */
import { randomUUID } from 'node:crypto'
import {
  bearerOf,
  json,
  noRoute,
  said,
  text,
  Trouble,
  type Said,
  type SimulatedProvider,
  type TroubleKind,
  type View,
} from '../dialect.ts'

/** Two shapes of errors: an object, or a code in words with a text. */
const troubles: Record<TroubleKind, [number, string]> = {
  bad_key: [400, 'Client specified an invalid argument'],
  invalid: [422, 'Client specified an invalid argument'],
  policy: [400, 'Client specified an invalid argument'],
  balance: [403, 'The caller does not have permission'],
  throttled: [429, 'Some resource has been exhausted'],
  parallel: [429, 'Some resource has been exhausted'],
  busy: [503, 'The service is currently unavailable'],
  internal: [500, 'Internal error'],
  missing: [404, 'Some requested entity was not found'],
  too_late: [404, 'Some requested entity was not found'],
  no_route: [404, 'Some requested entity was not found'],
}
const texts: Partial<Record<TroubleKind, string>> = {
  bad_key: 'Incorrect API key provided.',
  balance: 'Your team has used all available credits.',
  policy: 'Generated video rejected by content moderation.',
}
const resolutions = ['480p', '720p', '1080p']

function task(view: View): Said {
  const { status, model, link: url, progress } = view
  const video = { url, duration: view.input['duration'] ?? 8, respect_moderation: true }
  switch (status) {
    case 'queued':
      return said('', 202)
    case 'running':
      return said({ status: 'pending', progress }, 202)
    case 'strange':
      return said({ status: 'reticulating', progress }, 202)
    case 'completed':
      return said({ status: 'done', progress: 100, model, video, usage: { cost_in_usd_ticks: 1 } })
    case 'blocked':
      return said({ status: 'done', video: { url: '', respect_moderation: false } })
    case 'failed':
    case 'cancelled':
      return said({ status: 'failed', error: { code: 'internal_error', message: view.reason } })
    case 'expired':
      return said({ status: 'expired' })
  }
}

export const xai: SimulatedProvider = {
  name: 'xai',
  account: bearerOf,
  trouble(kind, message) {
    const [status, code] = troubles[kind]
    return said({ code, error: texts[kind] ?? message }, status)
  },
  handle(request, world) {
    const { method, path } = request
    if (method === 'POST' && path === '/videos/generations') {
      const { model, prompt, duration = 8, resolution = '480p' } = json(request)
      const length = Number(duration)
      if (!Number.isInteger(duration) || length < 1 || length > 15)
        throw new Trouble('invalid', 'duration must be a whole number from 1 to 15.')
      if (!resolutions.includes(String(resolution)))
        throw new Trouble('invalid', 'resolution is not one of 480p, 720p and 1080p.')
      if (model === 'grok-imagine-video' && resolution === '1080p')
        throw new Trouble('invalid', '1080p is not available for this model.')
      const { taskId } = world.create({
        taskId: randomUUID(),
        model: text(model, 'model'),
        prompt: text(prompt, 'prompt'),
        input: { duration },
      })
      return said({ request_id: taskId })
    }
    const [, id] = /^\/videos\/([^/]+)$/.exec(path) ?? []
    if (method !== 'GET' || id === undefined) return noRoute()
    return task(world.find(decodeURIComponent(id), 'task'))
  },
}
