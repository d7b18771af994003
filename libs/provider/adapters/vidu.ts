/**
 * Vidu (Shengshu): one path for each kind of input. Our own id is its `payload`, which every task
 * and the list repeat: a list read to its end finds a lost create or proves that there is none. Not
 * yet run against the real service.
 */
import { linksOrData, type Declaration } from '../declaration.ts'
import { keyAs } from '../edge/dialect.ts'
import { pageNumbers } from '../edge/listing.ts'
import { viduWebhook } from './vidu-webhook.ts'

const kinds = ['text2video', 'img2video', 'start-end2video', 'reference2video']
const policy =
  `taskpromptpolicyviolation creationpolicyviolation auditsubmitillegal photoauditnotpass
  auditfailed`.split(/\s+/)
const invalid = `fieldinvalid modelunavailable imageformatinvalid imagesizeinvalid
  pagesizeoutofrange imagecheckbodyjointsfailed imagecheckfacefailed imageobjectsundetected
  facedetectfailure facedetectnotpass nofacedetected multifacedetected`.split(/\s+/)
const named = <T extends string>(codes: string[], ours: T) =>
  Object.fromEntries(codes.map((code) => [code, ours]))

export const vidu: Declaration = {
  baseUrl: 'https://api.vidu.com',
  regions: { international: 'https://api.vidu.com', china: 'https://api.vidu.cn' },
  model: 'viduq3-turbo',
  models: ['viduq3-turbo', 'viduq3-pro', 'viduq3-pro-fast'].map((name) => ({
    name,
    durations: Array.from({ length: 16 }, (_, i) => i + 1),
    aspectRatios: ['16:9', '9:16', '1:1', '4:3', '3:4'],
    resolutions: ['540p', '720p', '1080p'],
    inputs: ['text', 'image'],
  })),
  // of an organization, over all its keys
  budget: { parallelTasks: 5 },
  webhook: viduWebhook,
  images: linksOrData,
  dialect: {
    name: 'vidu',
    expectedMs: 10 * 60_000,
    resultLifeMs: 24 * 3_600_000,
    authenticate: keyAs('Token'),
    create: (input) => {
      const { imageUrls = [] } = input
      const [kind] = kinds.slice(Math.min(imageUrls.length, 3))
      const takesRatio = kind === 'text2video' || kind === 'reference2video'
      return {
        path: `/ent/v2/${kind}`,
        body: {
          model: input.model,
          images: imageUrls.length > 0 ? imageUrls : undefined,
          prompt: input.prompt,
          duration: input.durationSeconds,
          resolution: input.resolution,
          aspect_ratio: takesRatio ? input.aspectRatio : undefined,
          payload: input.ownId,
          callback_url: input.callbackUrl,
        },
      }
    },
    createdId: ['task_id'],
    get: (taskId) => ({ path: `/ent/v2/tasks/${encodeURIComponent(taskId)}/creations` }),
    list: {
      // how long tasks are listed is not told: their results live so long
      reachMs: 24 * 3_600_000,
      ask: ({ from, cursor }) => {
        const query = new URLSearchParams({
          'created_at.from': new Date(from).toISOString(),
          'pager.page': cursor ?? '0',
          'pager.pagesz': '100',
        })
        return { path: `/ent/v2/tasks?${query.toString()}` }
      },
      items: 'tasks[]',
      next: pageNumbers('tasks[]', 0),
      mark: ['payload'],
    },
    cancel: {
      when: 'queued',
      ask: (id) => ({ path: `/ent/v2/tasks/${encodeURIComponent(id)}/cancel`, body: { id } }),
    },
    task: {
      id: ['id', 'task_id'],
      ownId: ['payload'],
      status: ['state'],
      links: ['creations[].url'],
      reason: [],
      reasonCode: ['err_code'],
    },
    progressIn: 'percent',
    words: {
      created: 'queued',
      queueing: 'queued',
      processing: 'running',
      success: 'done',
      failed: 'failed',
    },
    error: { code: ['reason'], message: ['message'] },
    codes: {
      ...named(policy, 'content_policy'),
      ...named(invalid, 'invalid_request'),
      creditinsufficient: 'insufficient_balance',
    },
    statuses: { 401: 'bad_key', 403: 'bad_key' },
    laterCodes: ['quotaexceeded', 'toomanyrequests', 'systemthrottling', 'operationinprocess'],
    missingCodes: [],
    many: {
      most: 20,
      ask: (ids) => ({
        path: `/ent/v2/tasks?${ids.map((id) => `task_ids=${encodeURIComponent(id)}`).join('&')}`,
      }),
      tasks: 'tasks[]',
    },
  },
}
