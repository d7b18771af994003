import { expect, it } from 'vitest'
import { simulatedSecretKey } from '#services/provider-simulator/dialects/tencent-vod.ts'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { tencentVod } from './tencent-vod.ts'

const credentials = { secretId: 'AKIDtest', secretKey: simulatedSecretKey, subAppId: '1500000001' }
const subject = subjectOf(tencentVod, {
  // how a lack of money is told is not documented
  unsaid: ['balance'],
  model: 'Kling 3.0',
  apiKey: JSON.stringify(credentials),
  secrets: [simulatedSecretKey],
})
conformance(subject)
againstTheSimulator([subject])

const well = (body: object) => ({ Response: { ...body, RequestId: 'r' } })
const error = (Code: string, Message = 'why') => well({ Error: { Code, Message } })
const task = (body: object, Status = 'FINISH') =>
  well({ TaskType: 'AigcVideoTask', Status, AigcVideoTask: { TaskId: 't', Status, ...body } })

it('signs type, host and body, at its second, for a day and a service', () => {
  const account = {
    baseUrl: 'https://vod.tencentcloudapi.com',
    apiKey: '',
    credentials,
    token: null,
  }
  const request = { method: 'POST', baseUrl: account.baseUrl, path: '/', body: '{}', nowSeconds: 0 }
  const sign = (more: object = {}) =>
    tencentVod.dialect.authenticate(account, { ...request, ...more })
  expect(sign().headers).toMatchObject({
    'x-tc-timestamp': '0',
    authorization: expect.stringMatching(
      /^TC3-HMAC-SHA256 Credential=AKIDtest\/1970-01-01\/vod\/tc3_request, SignedHeaders=content-type;host, Signature=[0-9a-f]{64}$/,
    ),
  })
  // by the SDK of Tencent, 4.1.287, of the same request
  const body = JSON.stringify({ TaskId: 't', SubAppId: 1_500_000_001 })
  expect(sign({ body, nowSeconds: 1_767_225_600 }).headers['authorization']).toBe(
    'TC3-HMAC-SHA256 Credential=AKIDtest/2026-01-01/vod/tc3_request, SignedHeaders=content-type;host, Signature=b045771c35d3d9d7173a20088c8930c635048392acd05a1513d8d70b3f41f708',
  )
  expect(sign().secrets).toEqual([simulatedSecretKey])
  const all = [{}, { body: '{"a":1}' }, { nowSeconds: 1 }, { baseUrl: 'https://b.example' }].map(
    (more) => sign(more).headers['authorization'],
  )
  expect(new Set(all).size).toBe(4)
})

it.each([
  ['AuthFailure.SignatureFailure', { kind: 'refused', error: { code: 'bad_key' } }],
  ['UnauthorizedOperation.CamNoAuth', { kind: 'refused', error: { code: 'bad_key' } }],
  ['InvalidParameterValue.Prompt', { kind: 'refused', error: { code: 'invalid_request' } }],
  ['RequestLimitExceeded', { kind: 'later' }],
  ['LimitExceeded.TooMany', { kind: 'later' }],
  ['FailedOperation', { kind: 'later' }],
  ['InternalError.Whatever', { kind: 'unknown' }],
])('reads an error in a 200: %s', async (code, meant) => {
  const talk = await talkTo(tencentVod)
  expect(await talk.create({}, error(code))).toMatchObject(meant)
  expect((await talk.get('t', error(code))).kind).toMatch(/^(none|later)$/)
})

it.each(['InvalidParameterValue', 'FailedOperation.Whatever', 'LimitExceeded'])(
  'does not know what became of a create whose session is there already, by whichever code: %s',
  async (code) => {
    const talk = await talkTo(tencentVod)
    const said = error(code, 'The SessionId own-1 already exists.')
    expect(await talk.create({}, said)).toMatchObject({ kind: 'unknown' })
  },
)

it.each([
  ['waits', task({}, 'WAITING'), { kind: 'working', phase: 'queued' }],
  ['runs', task({ Progress: 30 }, 'PROCESSING'), { kind: 'working', progress: 30 }],
  [
    'finished by failing',
    task({ ErrCode: 70_000, ErrCodeExt: 'InternalError', Message: 'no luck' }),
    {
      kind: 'failed',
      error: { code: 'provider_failed', message: 'no luck' },
    },
  ],
  [
    'held back',
    task({ ErrCode: 1, ErrCodeExt: 'InvalidParameter.VoilationContent' }),
    {
      error: { code: 'content_policy' },
    },
  ],
  [
    'the maker’s queue was full',
    task({ ErrCode: 1, ErrCodeExt: 'FailedOperation' }),
    {
      error: { code: 'provider_failed' },
    },
  ],
  ['aborted', task({}, 'ABORTED'), { error: { code: 'cancelled' } }],
  ['finished without a film', task({ ErrCode: 0 }), { kind: 'unusable' }],
])('reads a task: %s', async (_, said, meant) => {
  const talk = await talkTo(tencentVod)
  expect(await talk.get('t', said)).toMatchObject(meant)
})

it('sends its own id, the application, name and version of a model, and frames by address', async () => {
  const talk = await talkTo({ ...tencentVod })
  talk.account.apiKey = JSON.stringify(credentials)
  const imageUrls = ['https://a.example/1.png', 'https://a.example/2.png']
  const asked = { model: 'Kling 3.0', imageUrls, resolution: '720p', durationSeconds: 5 }
  await talk.create(asked, well({ TaskId: 't' }))
  const [heard] = talk.heard()
  expect(heard!.headers).toMatchObject({ 'x-tc-action': 'CreateAigcVideoTask' })
  expect(heard!.body).toMatchObject({
    SubAppId: 1_500_000_001,
    ModelName: 'Kling',
    ModelVersion: '3.0',
    SessionId: 'own-1',
    FileInfos: [{ Usage: 'FirstFrame', Url: imageUrls[0] }, { Usage: 'LastFrame' }],
    OutputConfig: { StorageMode: 'Temporary', Duration: 5, Resolution: '720P' },
  })
  await talk.get('t', task({}, 'WAITING'))
  expect(talk.heard()[0]!.body).toEqual({ TaskId: 't', SubAppId: 1_500_000_001 })
})

it('finds a lost create in the list by its session', async () => {
  const talk = await talkTo(tencentVod)
  const page = (ScrollToken: string, ...sessions: string[]) =>
    well({ ScrollToken, TaskSet: sessions.map((id) => ({ TaskId: `t-${id}`, SessionId: id })) })
  const found = { kind: 'found', taskId: 't-own-1' }
  expect(await talk.search({}, page('n', 'own-2'), page('', 'own-1'))).toEqual(found)
  expect(talk.heard()[1]!.body).toMatchObject({ ScrollToken: 'n', Limit: 100 })
  expect(await talk.search({}, page('n', 'own-2'), page(''))).toEqual({ kind: 'absent' })
  expect(await talk.search({}, page('n', 'own-2'), error('InternalError'))).toMatchObject({
    kind: 'none',
  })
})
