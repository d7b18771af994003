/** Kling's older standard (the kind of the task in the path), as publicly documented. */
import { createHmac } from 'node:crypto'
import { unixMs } from '#libs/runtime/clock.ts'
import {
  bearerOf,
  digits,
  json,
  noRoute,
  optionalText,
  text,
  Trouble,
  type Incoming,
  type SimulatedProvider,
  type View,
} from '../dialect.ts'
import { kling, signed, well, words as newerWords } from './kling.ts'

const route = /^\/v1\/videos\/(text2video|image2video)(?:\/([^/]+))?$/
const words = { ...newerWords, completed: 'succeed' }

const task = (view: View): Record<string, unknown> => ({
  task_id: view.taskId,
  task_status: words[view.status],
  task_status_msg: words[view.status] === 'failed' ? view.reason : '',
  task_info: { external_task_id: view.ownId ?? '' },
  created_at: view.createdAt,
  updated_at: view.endedAt ?? view.startsAt,
  task_result:
    view.status === 'completed'
      ? { videos: [{ id: view.taskId, url: view.link, duration: '5.1' }] }
      : {},
})

export const simulatedSecretKey = 'simulated-secret-key'

/** The access key of the pair that a token was made with; null: it is not good, or not now. */
function issuerOf(token: string, now: number): string | null {
  const [header = '', payload = '', signature] = token.split('.')
  const signedBy = createHmac('sha256', simulatedSecretKey).update(`${header}.${payload}`)
  if (signature !== signedBy.digest('base64url')) return null
  const { iss, exp, nbf } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
    [name in 'iss' | 'exp' | 'nbf']: unknown
  }
  return typeof iss === 'string' && Number(nbf) <= now && now < Number(exp) ? iss : null
}

function accountOf(request: Incoming): string | null {
  const key = bearerOf(request)
  return key?.startsWith('eyJ') ? issuerOf(key, unixMs() / 1_000) : key
}

export const klingV1: SimulatedProvider = {
  ...kling,
  name: 'kling-v1',
  account: accountOf,
  handle(request, world) {
    const [, kind, id] = route.exec(request.path) ?? []
    if (kind === undefined) return noRoute()
    if (request.method === 'GET' && id !== undefined) {
      const view = world.find(decodeURIComponent(id), 'either')
      if ((view.input['kind'] ?? kind) !== kind) throw new Trouble('missing', 'No such task.')
      return well(task(view))
    }
    if (request.method !== 'POST' || id !== undefined) return noRoute()
    const body = json(request)
    if (body['duration'] !== undefined && typeof body['duration'] !== 'string')
      throw new Trouble('invalid', 'duration is a text.')
    if ((kind === 'image2video') !== (typeof body['image'] === 'string'))
      throw new Trouble('invalid', 'image2video, and nothing else, takes an image.')
    if (kind === 'image2video' && String(body['image']).startsWith('data:'))
      throw new Trouble('invalid', 'An image in base64 has no prefix.')
    if (kind === 'image2video' && body['aspect_ratio'] !== undefined)
      throw new Trouble('invalid', 'image2video takes no aspect_ratio.')
    const view = world.create({
      taskId: digits(18, world.now),
      model: text(body['model_name'], 'model_name'),
      prompt: text(body['prompt'], 'prompt'),
      ownId: optionalText(body['external_task_id']),
      callbackUrl: optionalText(body['callback_url']),
      input: { kind },
    })
    return well({ ...task(view), task_status: 'submitted' })
  },
  webhook: (view, secret, now) => signed(view.taskId, JSON.stringify(task(view)), secret, now),
}
