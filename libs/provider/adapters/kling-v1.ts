/**
 * Kling, in its older standard (`/v1/videos/…`, the model in the body), which is still served and
 * resold. A task is asked for by its kind and its id, so its handle is both; so is a look-up by own
 * id. Opened with one key, or with the older pair, of which each request gets a token of its own.
 * Not yet run against the real service.
 */
import { createHmac } from 'node:crypto'
import { linksOrData, type Declaration } from '../declaration.ts'
import { bearer, type OpenAccount, type ToSign } from '../edge/dialect.ts'
import { idsOf } from '../edge/fields.ts'
import type { CreateRequest } from '../provider.ts'
import { inline } from './inline.ts'
import { kling } from './kling.ts'

const tokenSeconds = 1_800
/** Its clock may be behind ours. */
const earlySeconds = 5

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** HS256, as its documentation has it. */
function tokenOf(accessKey: string, secretKey: string, nowSeconds: number): string {
  const times = { exp: nowSeconds + tokenSeconds, nbf: nowSeconds - earlySeconds }
  const signed = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ iss: accessKey, ...times })}`
  return `${signed}.${createHmac('sha256', secretKey).update(signed).digest('base64url')}`
}

function authenticate(account: OpenAccount, request: ToSign) {
  const { apiKey = '', secretKey } = account.credentials
  if (!secretKey) return bearer({ ...account, apiKey }, request)
  const token = tokenOf(apiKey, secretKey, request.nowSeconds)
  return { headers: { authorization: `Bearer ${token}` }, secrets: [secretKey, token] }
}

const kindOf = ({ imageUrls = [] }: CreateRequest) =>
  imageUrls.length ? 'image2video' : 'text2video'
const handleBy = (id: string, request: CreateRequest) => `${kindOf(request)}/${id}`
const pathOf = (handle: string) => ({ path: `/v1/videos/${handle}` })

/** Bare, without what tells its type. */
const imageOf = (url: string | undefined) => url && (inline(url)?.data ?? url)
const modes: Record<string, string> = { '720p': 'std', '1080p': 'pro', '4k': '4k' }

export const klingV1: Declaration = {
  ...kling,
  credentials: [
    { name: 'apiKey', meaning: 'the key, or the AccessKey of the older pair' },
    { name: 'secretKey', meaning: 'the SecretKey of that pair', isOptional: true },
  ],
  model: 'kling-v2-6',
  models: [
    {
      name: 'kling-v2-6',
      durations: [5, 10],
      aspectRatios: ['16:9', '9:16', '1:1'],
      inputs: ['text', 'image'],
    },
  ],
  images: linksOrData,
  dialect: {
    ...kling.dialect,
    name: 'kling-v1',
    authenticate,
    create: (input) => {
      const [first, last] = input.imageUrls ?? []
      return {
        path: `/v1/videos/${kindOf(input)}`,
        body: {
          model_name: input.model,
          prompt: input.prompt,
          mode: input.resolution && (modes[input.resolution] ?? input.resolution),
          duration: input.durationSeconds && String(input.durationSeconds),
          ...(first === undefined
            ? { aspect_ratio: input.aspectRatio }
            : { image: imageOf(first), image_tail: imageOf(last) }),
          external_task_id: input.ownId,
          callback_url: input.callbackUrl,
        },
      }
    },
    createdId: ['data.task_id'],
    handle: (answer, request) => {
      const [id] = idsOf(answer, ['data.task_id'])
      return id ? handleBy(id, request) : null
    },
    handleOf: handleBy,
    idOf: (handle) => handle.slice(handle.indexOf('/') + 1),
    get: pathOf,
    find: (ownId, request) =>
      request
        ? pathOf(handleBy(encodeURIComponent(ownId), request))
        : { refused: 'its kind is not known: its stored parameters cannot be read' },
    task: {
      id: ['data.task_id', 'task_id'],
      ownId: ['data.task_info.external_task_id', 'task_info.external_task_id'],
      status: ['data.task_status', 'task_status'],
      links: ['data.task_result.videos[].url', 'task_result.videos[].url'],
      reason: ['data.task_status_msg', 'task_status_msg'],
    },
    many: undefined,
  },
}
