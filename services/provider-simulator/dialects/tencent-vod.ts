/** Tencent Cloud VOD's AIGC video, as its SDK types it: errors in a 200, `SessionId` taken once. */
import { createHash, createHmac } from 'node:crypto'
import {
  digits,
  json,
  noRoute,
  optionalText,
  said,
  text,
  Trouble,
  type Incoming,
  type SimulatedProvider,
  type Status,
  type TroubleKind,
  type View,
} from '../dialect.ts'

/** Whoever signs does so with this key, under whichever id. */
export const simulatedSecretKey = 'simulated-secret-key'
const troubles: Record<TroubleKind, string> = {
  bad_key: 'AuthFailure.SignatureFailure',
  invalid: 'InvalidParameterValue',
  policy: 'InvalidParameter.VoilationContent',
  balance: 'ResourceInsufficient',
  throttled: 'RequestLimitExceeded',
  parallel: 'LimitExceeded',
  busy: 'FailedOperation',
  internal: 'InternalError',
  missing: 'ResourceNotFound',
  too_late: 'InvalidParameter',
  no_route: 'InvalidAction',
}
const words: Record<Status, string> = {
  queued: 'WAITING',
  running: 'PROCESSING',
  strange: 'RETICULATING',
  completed: 'FINISH',
  failed: 'FINISH',
  blocked: 'FINISH',
  expired: 'FINISH',
  cancelled: 'ABORTED',
}
const codes: Partial<Record<Status, string>> = {
  failed: 'FailedOperation',
  blocked: 'InvalidParameter.VoilationContent',
  expired: 'InternalError',
}
const well = (body: object) => said({ Response: { ...body, RequestId: 'request-1' } })
const iso = (ms: number) =>
  Number.isNaN(ms) ? '' : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')

function task(view: View): Record<string, unknown> {
  const { status } = view
  const code = codes[status]
  const film = { StorageMode: 'Temporary', FileUrl: view.link, ExpireTime: iso(view.expiresAt) }
  return {
    TaskType: 'AigcVideoTask',
    Status: words[status],
    CreateTime: iso(view.createdAt),
    ...(view.endedAt === null ? {} : { FinishTime: iso(view.endedAt) }),
    AigcVideoTask: {
      TaskId: view.taskId,
      Status: words[status],
      Progress: view.progress,
      SessionId: view.ownId,
      ErrCode: code === undefined ? 0 : 70_000,
      ErrCodeExt: code ?? '',
      Message: code === undefined ? '' : view.reason,
      ...(status === 'completed'
        ? { Output: { FileInfos: [film], Usage: { OutputSeconds: 5 } } }
        : {}),
    },
  }
}

const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data)
const sha256 = (data: string) => createHash('sha256').update(data).digest('hex')

/** The id whose signature it is, when it is one; whichever id it is. */
function signer({ headers, raw }: Incoming): string | null {
  const found =
    /^TC3-HMAC-SHA256 Credential=([^/]+)\/([\d-]+)\/vod\/tc3_request, SignedHeaders=([\w;-]+), Signature=(\w+)$/.exec(
      headers.authorization ?? '',
    )
  const [, id, date, names = '', signature] = found ?? []
  if (id === undefined || date === undefined) return null
  const signed = names.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`)
  const request = `POST\n/\n\n${signed.join('')}\n${names}\n${sha256(raw)}`
  const at = String(headers['x-tc-timestamp'])
  const string = `TC3-HMAC-SHA256\n${at}\n${date}/vod/tc3_request\n${sha256(request)}`
  const ofDate = hmac(`TC3${simulatedSecretKey}`, date).digest()
  const key = hmac(hmac(ofDate, 'vod').digest(), 'tc3_request').digest()
  return hmac(key, string).digest('hex') === signature ? id : null
}

const whole = (view: View) => {
  const { AigcVideoTask, ...rest } = task(view)
  return { ...rest, TaskId: view.taskId, SessionId: view.ownId, SessionContext: '', AigcVideoTask }
}

export const tencentVod: SimulatedProvider = {
  name: 'tencent-vod',
  account: signer,
  trouble: (kind, Message) => well({ Error: { Code: troubles[kind], Message } }),
  handle(request, world) {
    if (request.method !== 'POST') return noRoute()
    const body = json(request)
    switch (request.headers['x-tc-action']) {
      case 'CreateAigcVideoTask': {
        const session = optionalText(body['SessionId'])
        const view = world.create({
          taskId: `1500000001-AigcVideoTask-${digits(20, world.now)}`,
          model: `${text(body['ModelName'], 'ModelName')} ${text(body['ModelVersion'], 'ModelVersion')}`,
          prompt: text(body['Prompt'], 'Prompt'),
          ownId: session,
          dedupeKey: session,
        })
        // which code it is answered by is not documented
        if (view.isRepeated) throw new Trouble('invalid', 'SessionId already exists.')
        return well({ TaskId: view.taskId })
      }
      case 'DescribeTaskDetail':
        return well(task(world.find(text(body['TaskId'], 'TaskId'), 'task')))
      case 'DescribeTasks': {
        const { CreateTime, ScrollToken, Limit } = body
        const { After, Before } = (CreateTime ?? {}) as Record<string, string>
        const end = Before === undefined ? world.now : Date.parse(Before)
        const all = world.list(After === undefined ? 0 : Date.parse(After), end)
        const start = Number(ScrollToken || 0)
        const next = start + Math.min(100, Number(Limit ?? 10))
        return well({
          TaskSet: all.slice(start, next).map((view) => {
            const { AigcVideoTask: _, ...item } = whole(view)
            return item
          }),
          ScrollToken: next < all.length ? String(next) : '',
        })
      }
      default:
        return noRoute()
    }
  },
}
