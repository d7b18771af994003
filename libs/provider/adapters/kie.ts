/**
 * Kie.ai: `POST /api/v1/jobs/createTask`, `GET /api/v1/jobs/recordInfo?taskId=…`. Every answer is a
 * 200 whose `code` says more, and a result is JSON in a text. No look-up, list or cancel. Not yet
 * run against the real service.
 */
import type { Declaration } from '../declaration.ts'
import { bearer } from '../edge/dialect.ts'

export const kie: Declaration = {
  baseUrl: 'https://api.kie.ai',
  model: 'bytedance/seedance-2',
  models: [{ name: 'bytedance/seedance-2', inputs: ['text', 'image'] }],
  dialect: {
    name: 'kie',
    expectedMs: 10 * 60_000,
    // not stated
    resultLifeMs: 24 * 3_600_000,
    authenticate: bearer,
    create: (input) => ({
      path: '/api/v1/jobs/createTask',
      body: {
        model: input.model,
        // in Seedance's names; a model has a schema of its own
        input: {
          prompt: input.prompt,
          first_frame_url: input.imageUrls?.[0],
          last_frame_url: input.imageUrls?.[1],
          duration: input.durationSeconds,
          resolution: input.resolution,
          aspect_ratio: input.aspectRatio,
        },
        callBackUrl: input.callbackUrl,
      },
    }),
    createdId: ['data.taskId'],
    get: (taskId) => ({ path: `/api/v1/jobs/recordInfo?taskId=${encodeURIComponent(taskId)}` }),
    task: {
      id: ['data.taskId'],
      status: ['data.state'],
      links: ['data.resultJson.resultUrls[]'],
      reason: ['data.failMsg'],
      reasonCode: ['data.failCode'],
    },
    progressIn: 'percent',
    words: {
      waiting: 'queued',
      queuing: 'queued',
      generating: 'running',
      success: 'done',
      fail: 'failed',
    },
    error: { code: ['code'], message: ['msg'] },
    codes: { '401': 'bad_key', '402': 'insufficient_balance', '422': 'invalid_request' },
    statuses: { 401: 'bad_key' },
    laterCodes: ['429'],
    missingCodes: [],
  },
}
