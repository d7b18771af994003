/**
 * Tencent Cloud VOD (AIGC video): Kling, Vidu, Hailuo, Hunyuan, PixVerse and others by one call,
 * `POST /` with the action in a header and a signature (TC3). Errors come with HTTP 200. Our own id
 * is its `SessionId`: a second create with it is refused for three days, and the list repeats it.
 * Its events are not pulled: they are the whole application's, and one that is confirmed reaches
 * nobody else. Not yet run against the real service.
 */
import { createHash, createHmac } from 'node:crypto'
import type { Declaration } from '../declaration.ts'
import type { OpenAccount, Request, ToSign } from '../edge/dialect.ts'
import { firstText } from '../edge/fields.ts'
import { inline } from './inline.ts'

const day = 24 * 3_600_000
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text)

/** TC3-HMAC-SHA256 over type, host and body. */
function sign({ credentials }: OpenAccount, { baseUrl, body, nowSeconds }: ToSign) {
  const { secretId = '', secretKey = '' } = credentials
  const date = new Date(nowSeconds * 1_000).toISOString().slice(0, 10)
  const scope = `${date}/vod/tc3_request`
  const headers = `content-type:application/json\nhost:${new URL(baseUrl).host}\n`
  const request = `POST\n/\n\n${headers}\ncontent-type;host\n${sha256(body ?? '')}`
  const text = `TC3-HMAC-SHA256\n${nowSeconds}\n${scope}\n${sha256(request)}`
  const ofDate = hmac(`TC3${secretKey}`, date).digest()
  const key = hmac(hmac(ofDate, 'vod').digest(), 'tc3_request').digest()
  const signature = hmac(key, text).digest('hex')
  return {
    headers: {
      'x-tc-timestamp': String(nowSeconds),
      authorization: `TC3-HMAC-SHA256 Credential=${secretId}/${scope}, SignedHeaders=content-type;host, Signature=${signature}`,
    },
    secrets: [secretKey],
  }
}

const call = (action: string, body: object): Request => ({
  method: 'POST',
  path: '/',
  headers: { 'x-tc-action': action, 'x-tc-version': '2018-07-17' },
  body,
})

/** Of one application of the account; the account's own where none is given. */
const appOf = (text: string | undefined) => (text ? { SubAppId: Number(text) } : {})

/** `Kling 3.0`, `Hailuo@2.3` → name and version. */
function modelOf(model: string) {
  const [, name = model, version] = /^(.*?)[ @/]([^ @/]+)$/.exec(model) ?? []
  return { ModelName: name, ModelVersion: version }
}

const iso = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')

export const tencentVod: Declaration = {
  baseUrl: 'https://vod.tencentcloudapi.com',
  regions: {
    china: 'https://vod.tencentcloudapi.com',
    international: 'https://vod.intl.tencentcloudapi.com',
  },
  credentials: [
    { name: 'secretId', meaning: 'SecretId', isPublic: true },
    { name: 'secretKey', meaning: 'SecretKey' },
    { name: 'subAppId', meaning: 'SubAppId', isPublic: true },
  ],
  model: 'Kling 3.0',
  models: [
    { name: 'Kling 3.0', durations: Array.from({ length: 13 }, (_, i) => i + 3) },
    { name: 'Hailuo 2.3', durations: [6, 10] },
  ].map((model) => ({ ...model, inputs: ['text', 'image'] as const })),
  budget: { parallelTasks: 1 },
  // 7 MB as base64, together
  images: { links: true, dataBytes: 2_500_000 },
  dialect: {
    name: 'tencent-vod',
    expectedMs: 10 * 60_000,
    resultLifeMs: 7 * day,
    authenticate: sign,
    create: (input, { credentials }) => {
      const [first, last] = input.imageUrls ?? []
      const frame = (Url: string, Usage: string) => {
        const Base64 = inline(Url)?.data
        const where = Base64 === undefined ? { Type: 'Url', Url } : { Type: 'Base64', Base64 }
        return { ...where, Category: 'Image', Usage }
      }
      return call('CreateAigcVideoTask', {
        ...appOf(credentials['subAppId']),
        ...modelOf(input.model),
        Prompt: input.prompt,
        FileInfos: first && [
          frame(first, 'FirstFrame'),
          ...(last ? [frame(last, 'LastFrame')] : []),
        ],
        OutputConfig: {
          StorageMode: 'Temporary',
          Duration: input.durationSeconds,
          Resolution: input.resolution?.toUpperCase(),
          AspectRatio: input.aspectRatio,
        },
        SessionId: input.ownId,
      })
    },
    createdId: ['Response.TaskId'],
    get: (taskId, { credentials }) =>
      call('DescribeTaskDetail', { TaskId: taskId, ...appOf(credentials['subAppId']) }),
    list: {
      reachMs: 3 * day,
      ask: ({ from, until, cursor }, { credentials }) =>
        call('DescribeTasks', {
          ...appOf(credentials['subAppId']),
          CreateTime: { After: iso(from), Before: iso(until) },
          Limit: 100,
          ScrollToken: cursor ?? undefined,
        }),
      items: 'Response.TaskSet[]',
      next: (answer) => firstText(answer, ['Response.ScrollToken']),
      id: ['TaskId'],
      mark: ['SessionId'],
    },
    task: {
      id: ['Response.AigcVideoTask.TaskId'],
      ownId: ['Response.AigcVideoTask.SessionId'],
      status: ['Response.Status'],
      word: wordOf,
      progress: ['Response.AigcVideoTask.Progress'],
      links: ['Response.AigcVideoTask.Output.FileInfos[].FileUrl'],
      expiresAt: ['Response.AigcVideoTask.Output.FileInfos[].ExpireTime'],
      completedAt: ['Response.FinishTime'],
      reason: ['Response.AigcVideoTask.Message'],
      reasonCode: ['Response.AigcVideoTask.ErrCodeExt'],
    },
    progressIn: 'percent',
    words: {
      waiting: 'queued',
      processing: 'running',
      finish: 'done',
      error: 'failed',
      aborted: 'cancelled',
    },
    error: { code: ['Response.Error.Code'], message: ['Response.Error.Message'] },
    codes: {
      authfailure: 'bad_key',
      unauthorizedoperation: 'bad_key',
      invalidparameter: 'invalid_request',
      invalidparametervalue: 'invalid_request',
      // their spelling
      'invalidparameter.voilationcontent': 'content_policy',
    },
    statuses: {},
    laterCodes: [
      'requestlimitexceeded',
      'limitexceeded',
      'resourceinsufficient',
      'failedoperation',
    ],
    faultCodes: ['internalerror'],
    missingCodes: ['resourcenotfound'],
    duplicateText: /SessionId/i,
  },
}

/** Finished is also what has failed: the code beside it tells which. */
function wordOf(answer: unknown): string | null {
  const status = firstText(answer, ['Response.Status', 'Response.AigcVideoTask.Status'])
  const code = Number(firstText(answer, ['Response.AigcVideoTask.ErrCode']) ?? 0)
  return status === 'FINISH' && code !== 0 ? 'ERROR' : status
}
