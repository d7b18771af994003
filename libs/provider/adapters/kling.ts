/**
 * Kling, in its newer standard (the model in the path). Looks up by own id (`external_task_id`),
 * which has to be unique there; cannot cancel. Task ids are regional: a task is asked for at the
 * address it was made at. Its older standard is kling-v1.ts. Not yet run against the real service.
 */
import type { Declaration } from '../declaration.ts'
import { bearer } from '../edge/dialect.ts'
import { firstText } from '../edge/fields.ts'
import { isStandardWebhook } from './signatures.ts'

const byIds = (name: string, ids: string[]) => ({
  path: `/tasks?${name}=${ids.map(encodeURIComponent).join(',')}`,
})

export const kling: Declaration = {
  baseUrl: 'https://api-singapore.klingai.com',
  ownHosts: ['klingai.com'],
  regions: {
    beijing: 'https://api-beijing.klingai.com',
    singapore: 'https://api-singapore.klingai.com',
  },
  model: 'kling-3.0',
  models: [
    {
      name: 'kling-3.0',
      durations: [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
      aspectRatios: ['16:9', '9:16', '1:1'],
      resolutions: ['720p', '1080p', '4k'],
      inputs: ['text', 'image'],
    },
    {
      name: 'kling-2.6',
      durations: [5, 10],
      aspectRatios: ['16:9', '9:16', '1:1'],
      resolutions: ['720p', '1080p'],
      inputs: ['text', 'image'],
    },
  ],
  // signed only once there is a secret in its console
  webhook: {
    isSigned: isStandardWebhook,
    ownIdIn: (body) => firstText(body, ['external_id', 'task_info.external_task_id']),
    taskIdIn: (body) => firstText(body, ['id', 'task_id']),
  },
  dialect: {
    name: 'kling',
    expectedMs: 10 * 60_000,
    resultLifeMs: 30 * 24 * 3_600_000,
    authenticate: bearer,
    create: (input) => {
      const [first, last] = input.imageUrls ?? []
      const settings = { resolution: input.resolution, duration: input.durationSeconds }
      const options = { external_task_id: input.ownId, callback_url: input.callbackUrl }
      const model = encodeURIComponent(input.model)
      if (first === undefined)
        return {
          path: `/text-to-video/${model}`,
          body: {
            prompt: input.prompt,
            settings: { ...settings, aspect_ratio: input.aspectRatio },
            options,
          },
        }
      const contents = [
        { type: 'prompt', text: input.prompt },
        { type: 'first_frame', url: first },
        ...(last === undefined ? [] : [{ type: 'last_frame', url: last }]),
      ]
      return { path: `/image-to-video/${model}`, body: { contents, settings, options } }
    },
    createdId: ['data.id', 'data.task_id'],
    get: (taskId) => byIds('task_ids', [taskId]),
    find: (ownId) => byIds('external_task_ids', [ownId]),
    task: {
      id: ['data[].id', 'id'],
      ownId: ['data[].external_id', 'external_id'],
      status: ['data[].status', 'status'],
      links: ['data[].outputs[].url', 'outputs[].url'],
      reason: ['data[].message', 'message'],
    },
    progressIn: 'percent',
    words: {
      submitted: 'queued',
      processing: 'running',
      succeeded: 'done',
      succeed: 'done',
      failed: 'failed',
    },
    error: { code: ['code'], message: ['message'] },
    codes: {
      ...Object.fromEntries(
        ['1000', '1001', '1002', '1003', '1004', '1103'].map((code) => [code, 'bad_key' as const]),
      ),
      // answered with HTTP 429, and no rate limit: the account's state, an address that it does not
      // allow, no money, no pack
      '1100': 'bad_key',
      '1304': 'bad_key',
      '1101': 'insufficient_balance',
      '1102': 'insufficient_balance',
      '1301': 'content_policy',
    },
    statuses: { 400: 'invalid_request', 401: 'bad_key' },
    laterCodes: ['1302', '1303'],
    missingCodes: ['1203'],
    many: { most: 100, ask: (ids) => byIds('task_ids', ids), tasks: 'data[]' },
  },
}
