import { createHmac } from 'node:crypto'
import { expect, it } from 'vitest'
import { simulatedSecretKey } from '#services/provider-simulator/dialects/kling-v1.ts'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { createRestProvider } from '../rest.ts'
import { klingV1 } from './kling-v1.ts'

const pair = { apiKey: 'access-of-the-older-pair', secretKey: simulatedSecretKey }
const subjects = [
  subjectOf(klingV1),
  subjectOf(klingV1, {
    name: 'kling-v1, by the older pair of keys',
    make: (options) =>
      createRestProvider(klingV1.dialect, {
        ...options,
        credentials: klingV1.credentials,
        allowPrivate: true,
        nowSeconds: () => Math.floor(Date.now() / 1_000),
      }),
    apiKey: JSON.stringify(pair),
    secrets: [simulatedSecretKey],
  }),
]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const baseUrl = 'https://api-singapore.klingai.com'
const ask = { method: 'GET', baseUrl, path: '/', body: null, nowSeconds: 1_800_000_000 }
const { dialect } = klingV1
const account = (credentials: Record<string, string>) => ({
  baseUrl,
  apiKey: '',
  credentials,
  token: null,
})

it('makes a token of the older pair for each request, and sends a key as it is', () => {
  const { headers, secrets } = dialect.authenticate(account(pair), ask)
  const token = headers['authorization']!.replace('Bearer ', '')
  const [head, payload, signature] = token.split('.')
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as unknown
  expect(read(head!)).toEqual({ alg: 'HS256', typ: 'JWT' })
  expect(read(payload!)).toEqual({ iss: pair.apiKey, exp: 1_800_001_800, nbf: 1_799_999_995 })
  const signed = createHmac('sha256', simulatedSecretKey).update(`${head}.${payload}`)
  expect(signature).toBe(signed.digest('base64url'))
  expect(secrets).toEqual([simulatedSecretKey, token])
  const byKey = dialect.authenticate(account({ apiKey: 'sk-1' }), ask)
  expect(byKey.headers).toEqual({ authorization: 'Bearer sk-1' })
})

const text = { ownId: 'own-1', model: 'kling-v2-6', prompt: 'p', durationSeconds: 5 }
const image = { ...text, imageUrls: ['data:image/png;base64,AAAA'] }

it('sends texts and images by the path of their kind, each in its words', () => {
  const create = (request: object) =>
    dialect.create({ ...text, aspectRatio: '9:16', resolution: '1080p', ...request }, account({}))
  expect(create({})).toMatchObject({
    path: '/v1/videos/text2video',
    body: { mode: 'pro', duration: '5', aspect_ratio: '9:16', external_task_id: 'own-1' },
  })
  expect(create({ imageUrls: image.imageUrls })).toEqual({
    path: '/v1/videos/image2video',
    body: expect.objectContaining({ image: 'AAAA', image_tail: undefined }) as object,
  })
  expect(create({ imageUrls: image.imageUrls })).not.toHaveProperty('body.aspect_ratio')
})

it.each([
  [1100, 'bad_key'],
  [1101, 'insufficient_balance'],
  [1304, 'bad_key'],
])('takes 429 with %i for a refusal, not for a limit', async (code, ours) => {
  const talk = await talkTo(klingV1)
  const said = { status: 429, body: { code, message: 'no' } }
  expect(await talk.create({}, said)).toMatchObject({ kind: 'refused', error: { code: ours } })
})

it('asks for a task by its kind, also by own id, and not where the kind is not known', () => {
  const answer = { code: 0, data: { task_id: '8936' } }
  expect(dialect.handle!(answer, image, JSON.stringify(answer))).toBe('image2video/8936')
  expect(dialect.get('image2video/8936', account({}))).toEqual({
    path: '/v1/videos/image2video/8936',
  })
  expect(dialect.find!('own-1', text)).toEqual({ path: '/v1/videos/text2video/own-1' })
  expect(dialect.find!('own-1', image)).toEqual({ path: '/v1/videos/image2video/own-1' })
  expect(dialect.find!('own-1', null)).toHaveProperty('refused')
})
