/** Runway, as publicly documented. */
import { randomUUID } from 'node:crypto'
import {
  bearerOf,
  json,
  noRoute,
  said,
  text,
  Trouble,
  type SimulatedProvider,
  type TroubleKind,
  type View,
} from '../dialect.ts'

const troubles: Record<TroubleKind, number> = {
  bad_key: 401,
  invalid: 400,
  policy: 400,
  balance: 400,
  throttled: 429,
  parallel: 429,
  busy: 503,
  internal: 500,
  missing: 404,
  too_late: 404,
  no_route: 404,
}

function task(view: View): Record<string, unknown> {
  const common = { id: view.taskId, createdAt: new Date(view.createdAt).toISOString() }
  const estimatedCost = { credits: 60 }
  const failed = (failureCode: string) => ({
    ...common,
    status: 'FAILED',
    failure: view.reason,
    failureCode,
    cost: { credits: 0 },
  })
  switch (view.status) {
    case 'queued':
      return { ...common, status: 'PENDING', estimatedCost }
    case 'running':
      return { ...common, status: 'RUNNING', progress: view.progress / 100, estimatedCost }
    case 'strange':
      return { ...common, status: 'RETICULATING', estimatedCost }
    case 'completed':
      return { ...common, status: 'SUCCEEDED', output: [view.link], cost: { credits: 60 } }
    case 'failed':
    case 'expired':
      return failed('INTERNAL.BAD_OUTPUT.CODE01')
    case 'blocked':
      return failed('SAFETY.OUTPUT.VIDEO')
    case 'cancelled':
      return { ...common, status: 'CANCELLED', cost: { credits: 0 } }
  }
}

export const runway: SimulatedProvider = {
  name: 'runway',
  account: bearerOf,
  trouble: (kind, message) =>
    said(
      { error: kind === 'balance' ? 'You do not have enough credits.' : message },
      troubles[kind],
    ),
  handle(request, world) {
    const { method, path, headers } = request
    if (headers['x-runway-version'] !== '2024-11-06')
      throw new Trouble('invalid', 'X-Runway-Version is missing or not one of 2024-11-06.')
    if (method === 'POST' && /^\/v1\/(text|image)_to_video$/.test(path)) {
      const { model, promptText, promptImage, duration } = json(request)
      if (path.startsWith('/v1/image') && promptImage === undefined)
        throw new Trouble('invalid', 'promptImage is missing.')
      if (duration !== undefined && !Number.isInteger(duration))
        throw new Trouble('invalid', 'duration must be a whole number of seconds.')
      const { taskId: id } = world.create({
        taskId: randomUUID(),
        model: text(model, 'model'),
        prompt: text(promptText, 'promptText'),
      })
      return said({ id, estimatedCost: { credits: 60 } })
    }
    const [, id] = /^\/v1\/tasks\/([^/]+)$/.exec(path) ?? []
    if (id === undefined) return noRoute()
    if (method === 'GET') return said(task(world.find(decodeURIComponent(id), 'task')))
    if (method !== 'DELETE') return noRoute()
    world.cancel(decodeURIComponent(id), 'ended')
    return said('', 204)
  },
}
