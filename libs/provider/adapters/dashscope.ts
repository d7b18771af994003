/**
 * Alibaba's DashScope (Wan, HappyHorse): three generations of request bodies, told apart by the
 * model. A task is kept for 24 hours, at the region where it was made; a lost create is found in
 * the list of that time, and confirmed by the prompt, which is told only of what succeeded. Not
 * yet run against the real service.
 */
import { linksOrData, type Declaration } from '../declaration.ts'
import { bearer } from '../edge/dialect.ts'
import { firstText } from '../edge/fields.ts'
import type { CreateRequest } from '../provider.ts'

const create = '/services/aigc/video-generation/video-synthesis'
const day = 24 * 3_600_000

/** Up to Wan 2.6: `parameters.size`, and pictures by name. */
const isOld = (model: string) => /^wanx?2\.[0-6]/.test(model)
const sizes: Record<string, string> = {
  '9:16': '720*1280',
  '16:9': '1280*720',
  '9:16 720p': '720*1280',
  '16:9 720p': '1280*720',
}

function bodyOf(input: CreateRequest): object {
  const { model, prompt, durationSeconds: duration, aspectRatio, imageUrls = [] } = input
  const [first, last] = imageUrls
  const resolution = input.resolution?.toUpperCase()
  if (isOld(model)) {
    const size = sizes[[aspectRatio, input.resolution?.toLowerCase()].filter(Boolean).join(' ')]
    const parameters = first === undefined ? { size, duration } : { resolution, duration }
    return { model, input: { prompt, img_url: first }, parameters }
  }
  const media = [
    ...(first === undefined ? [] : [{ type: 'first_frame', url: first }]),
    ...(last === undefined ? [] : [{ type: 'last_frame', url: last }]),
  ]
  return {
    model,
    input: { prompt, media: media.length > 0 ? media : undefined },
    parameters: {
      resolution,
      // refused beside a first frame, which has its own
      ratio: media.length > 0 ? undefined : aspectRatio,
      duration,
      // on where it is not told
      watermark: /^happyhorse/i.test(model) ? false : undefined,
    },
  }
}

export const dashscope: Declaration = {
  baseUrl: 'https://dashscope.aliyuncs.com/api/v1',
  ownHosts: ['maas.aliyuncs.com'],
  regions: {
    beijing: 'https://dashscope.aliyuncs.com/api/v1',
    singapore: 'https://dashscope-intl.aliyuncs.com/api/v1',
    us: 'https://dashscope-us.aliyuncs.com/api/v1',
  },
  model: 'wan2.7-t2v',
  models: ['wan2.7-t2v', 'wan2.7-i2v'].map((name) => ({
    name,
    aspectRatios: ['16:9', '9:16', '1:1', '4:3', '3:4'],
    resolutions: ['720p', '1080p'],
    inputs: name.endsWith('i2v') ? ['image'] : ['text'],
  })),
  leastIntervalMs: 15_000,
  // status, list and cancel together, all keys of an account
  budget: { queryPerSecond: 20 },
  images: linksOrData,
  dialect: {
    name: 'dashscope',
    expectedMs: 10 * 60_000,
    resultLifeMs: day,
    authenticate: bearer,
    create: (input) => ({
      path: create,
      headers: { 'x-dashscope-async': 'enable' },
      body: bodyOf(input),
    }),
    createdId: ['output.task_id'],
    get: (taskId) => ({ path: `/tasks/${encodeURIComponent(taskId)}` }),
    cancel: {
      when: 'queued',
      ask: (taskId) => ({ method: 'POST', path: `/tasks/${encodeURIComponent(taskId)}/cancel` }),
      tooLateCodes: ['unsupportedoperation'],
    },
    list: {
      reachMs: day,
      // without a window it is that of the last 24 hours, whatever the zone of its clock
      ask: ({ model, cursor }) => ({
        path: `/tasks/?model_name=${encodeURIComponent(model)}&page_no=${cursor ?? 1}&page_size=10`,
      }),
      items: 'data[]',
      next: (answer, cursor) => {
        const pages = Number(firstText(answer, ['total_page']) ?? NaN)
        if (Number.isNaN(pages)) throw new Error('it tells no number of pages')
        const page = Number(cursor ?? 1)
        return page < pages ? String(page + 1) : null
      },
      id: ['task_id'],
      createdAt: ['gmt_create'],
      model: ['model_name'],
    },
    task: {
      id: ['output.task_id'],
      status: ['output.task_status'],
      links: ['output.video_url'],
      reason: ['output.message'],
      reasonCode: ['output.code'],
      prompt: ['output.orig_prompt'],
    },
    progressIn: 'percent',
    words: {
      pending: 'queued',
      running: 'running',
      suspended: 'running',
      succeeded: 'done',
      failed: 'failed',
      canceled: 'cancelled',
      // with HTTP 200: there is none, or it is older than 24 hours
      unknown: 'missing',
    },
    error: { code: ['code'], message: ['message'] },
    codes: {
      invalidapikey: 'bad_key',
      invalidparameter: 'invalid_request',
      modelnotfound: 'invalid_request',
      'model.accessdenied': 'invalid_request',
      datainspectionfailed: 'content_policy',
      ipinfringementsuspect: 'content_policy',
      arrearage: 'insufficient_balance',
      'accessdenied.unpurchased': 'insufficient_balance',
      'allocationquota.freetieronly': 'insufficient_balance',
      prepaidbilloverdue: 'insufficient_balance',
      postpaidbilloverdue: 'insufficient_balance',
      commoditynotpurchased: 'insufficient_balance',
    },
    statuses: { 400: 'invalid_request', 401: 'bad_key' },
    laterCodes: ['throttling', 'limitrequests', 'serviceoverloaded'],
    faultCodes: ['internalerror'],
    missingCodes: [],
  },
}
