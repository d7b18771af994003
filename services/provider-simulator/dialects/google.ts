/** Veo on Vertex AI with its bucket, and Gemini Omni, as publicly documented. */
import { randomUUID } from 'node:crypto'
import {
  bearerOf,
  json,
  noRoute,
  said,
  text,
  Trouble,
  type Incoming,
  type SimulatedProvider,
  type TroubleKind,
  type View,
  type World,
} from '../dialect.ts'

const troubles: Record<TroubleKind, [number, string, string?]> = {
  bad_key: [401, 'UNAUTHENTICATED'],
  invalid: [400, 'INVALID_ARGUMENT'],
  policy: [
    400,
    'INVALID_ARGUMENT',
    'The prompt could not be submitted: it violates the safety policy.',
  ],
  balance: [403, 'PERMISSION_DENIED', 'This API method requires billing to be enabled.'],
  throttled: [429, 'RESOURCE_EXHAUSTED'],
  parallel: [429, 'RESOURCE_EXHAUSTED'],
  busy: [503, 'UNAVAILABLE'],
  internal: [500, 'INTERNAL'],
  missing: [404, 'NOT_FOUND'],
  too_late: [400, 'FAILED_PRECONDITION'],
  no_route: [404, 'UNIMPLEMENTED'],
}
const trouble: SimulatedProvider['trouble'] = (kind, why) => {
  const [code, status, message = why] = troubles[kind]
  return said({ error: { code, message, status } }, code)
}

const model = /^\/(projects\/[^/]+\/locations\/[^/]+\/publishers\/google\/models\/([^/:]+)):(\w+)$/

function operation(view: View, name: string): Record<string, unknown> {
  const error = (code: number) => ({ name, done: true, error: { code, message: view.reason } })
  switch (view.status) {
    case 'queued':
    case 'running':
      return { name }
    case 'strange':
      return { name, done: 'reticulating' }
    case 'completed': {
      const videos = [{ gcsUri: view.link, mimeType: 'video/mp4' }]
      return { name, done: true, response: { videos, raiMediaFilteredCount: 0 } }
    }
    case 'blocked': {
      const response = { raiMediaFilteredCount: 1, raiMediaFilteredReasons: [view.reason] }
      return { name, done: true, response }
    }
    default:
      return error(13)
  }
}

/** A statement as Google takes it: who asks, for what, until when; any signature will do. */
function token({ raw }: Incoming) {
  const form = new URLSearchParams(raw)
  const [, claims = '', signature] = form.get('assertion')?.split('.') ?? []
  const { iss, scope, exp } = JSON.parse(
    Buffer.from(claims, 'base64url').toString() || '{}',
  ) as Record<string, unknown>
  const isGrant = form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer'
  return isGrant && iss && scope && exp && signature
    ? said({ access_token: `ya29.${String(iss)}`, expires_in: 3_599, token_type: 'Bearer' })
    : said({ error: 'invalid_grant', error_description: 'Invalid JWT.' }, 400)
}

const objects = /^\/storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+))?$/

/** Cloud Storage: a finished film lies beneath the `storageUri` that it was ordered with. */
function inBucket({ path, query }: Incoming, world: World) {
  const [, bucket, name] = objects.exec(path) ?? []
  if (bucket === undefined) return noRoute()
  const object = (view: View) => ({
    kind: 'storage#object',
    bucket: decodeURIComponent(bucket),
    name: `${view.ownId}/${view.taskId}/sample_0.mp4`,
    contentType: 'video/mp4',
    mediaLink: view.link,
  })
  if (name !== undefined) {
    const view = world.find(decodeURIComponent(name).split('/').at(-2) ?? '', 'task')
    if (view.status !== 'completed') throw new Trouble('missing', 'No such object.')
    return said(object(view))
  }
  const prefix = query.get('prefix') ?? ''
  const items = world
    .list(0, world.now)
    .filter(({ status, ownId }) => status === 'completed' && ownId !== null)
    .map(object)
    .filter((one) => one.name.startsWith(prefix))
  return said({ kind: 'storage#objects', ...(items.length > 0 ? { items } : {}) })
}

export const vertex: SimulatedProvider = {
  name: 'vertex',
  account: bearerOf,
  login: (request) => (request.path === '/token' ? token(request) : null),
  trouble,
  handle(request, world) {
    if (request.method === 'GET') return inBucket(request, world)
    const [, place, name, verb] = model.exec(request.path) ?? []
    if (request.method !== 'POST' || name === undefined) return noRoute()
    const body = json(request)
    if (verb === 'predictLongRunning') {
      const { instances, parameters } = body as {
        instances?: { prompt?: string }[]
        parameters?: { storageUri?: string }
      }
      if (!parameters?.storageUri?.startsWith('gs://'))
        throw new Trouble('invalid', 'storageUri is no address of a bucket.')
      const [, directory] = /^gs:\/\/[^/]+\/(.+)\/$/.exec(parameters.storageUri) ?? []
      const view = world.create({
        taskId: randomUUID(),
        model: decodeURIComponent(name),
        prompt: text(instances?.[0]?.prompt, 'prompt'),
        ownId: directory,
      })
      return said({ name: `${place}/operations/${view.taskId}` })
    }
    if (verb !== 'fetchPredictOperation') return noRoute()
    const asked = text(body['operationName'], 'operationName')
    const view = world.find(asked.split('/').at(-1) ?? '', 'task')
    return said(operation(view, `${place}/operations/${view.taskId}`))
  },
}

function interaction(view: View): Record<string, unknown> {
  const { status } = view
  const iso = (ms: number) => new Date(ms).toISOString()
  const words = {
    queued: 'queued',
    running: 'in_progress',
    strange: 'reticulating',
    completed: 'completed',
    blocked: 'completed',
    failed: 'failed',
    expired: 'incomplete',
    cancelled: 'cancelled',
  }
  const content =
    status === 'completed'
      ? [{ type: 'video', uri: view.link, mime_type: 'video/mp4' }]
      : status === 'blocked'
        ? [{ type: 'text', text: view.reason }]
        : []
  return {
    id: view.taskId,
    object: 'interaction',
    status: words[status],
    model: view.model,
    created: iso(view.createdAt),
    updated: iso(view.endedAt ?? view.startsAt),
    ...(content.length > 0 ? { steps: [{ type: 'model_output', content }] } : {}),
  }
}

export const gemini: SimulatedProvider = {
  name: 'gemini',
  account: ({ headers }) => headers['x-goog-api-key']?.toString() ?? null,
  trouble,
  handle(request, world) {
    const { method, path } = request
    if (method === 'POST' && path === '/interactions') {
      const { model: name, input, background, store } = json(request)
      if (background !== true || store !== true)
        throw new Trouble('invalid', 'a film is made in the background, and stored.')
      const parts = Array.isArray(input) ? (input as { type?: string; text?: string }[]) : []
      const prompt = parts.find(({ type }) => type === 'text')?.text ?? input
      const view = world.create({
        taskId: `v1_${randomUUID().replaceAll('-', '')}`,
        model: text(name, 'model'),
        prompt: text(prompt, 'input'),
      })
      return said({ ...interaction(view), status: 'in_progress' })
    }
    const [, id, act] = /^\/interactions\/([^/]+)(\/cancel)?$/.exec(path) ?? []
    if (id === undefined) return noRoute()
    if (method === 'GET' && !act) return said(interaction(world.find(id, 'task')))
    return method === 'POST' && act ? said(interaction(world.cancel(id, 'ended'))) : noRoute()
  },
}
