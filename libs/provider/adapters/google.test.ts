import { createVerify, generateKeyPairSync } from 'node:crypto'
import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { createRestProvider } from '../rest.ts'
import { gemini } from './gemini.ts'
import { vertex } from './vertex.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2_048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const account = {
  clientEmail: 'films@p.iam.gserviceaccount.com',
  privateKey,
  project: 'p-1',
  bucket: 'films',
}
const apiKey = JSON.stringify(account)
const subjects = [
  subjectOf(vertex, { apiKey, secrets: ['ya29.films@p.iam.gserviceaccount.com'] }),
  subjectOf(gemini),
]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const name = 'projects/p-1/locations/us-central1/publishers/google/models/m/operations/o-1'
const { login: _, ...dialect } = vertex.dialect
const withoutLogin = { ...vertex, dialect }
const token = { access_token: 'ya29.x', expires_in: 3_599 }

it('logs in to Vertex by a statement signed with the service account’s key, once', async () => {
  const talk = await talkTo(vertex)
  talk.account.apiKey = JSON.stringify({
    ...account,
    privateKey: privateKey.replaceAll('\n', '\\n'),
  })
  const form = { body: JSON.stringify(token), status: 200 }
  expect(await talk.create({}, form, { name })).toEqual({ kind: 'accepted', taskId: name })
  const [login, create] = talk.heard()
  expect(login!.path).toBe('/base/token')
  const assertion = new URLSearchParams(String(login!.body)).get('assertion') ?? ''
  const [head, claims, signature = ''] = assertion.split('.')
  const verify = createVerify('RSA-SHA256').update(`${head}.${claims}`)
  expect(verify.verify(publicKey, signature, 'base64url')).toBe(true)
  expect(JSON.parse(Buffer.from(claims!, 'base64url').toString())).toMatchObject({
    iss: account.clientEmail,
    aud: 'https://oauth2.googleapis.com/token',
  })
  expect(create!.headers.authorization).toBe('Bearer ya29.x')
  expect(create!).toMatchObject({
    path: '/base/projects/p-1/locations/us-central1/publishers/google/models/m:predictLongRunning',
    body: { parameters: { sampleCount: 1, storageUri: 'gs://films/own-1/' } },
  })
  await talk.get(name, { name })
  expect(talk.heard()).toHaveLength(1)
  expect(talk.heard()[0]).toMatchObject({
    method: 'POST',
    path: '/base/projects/p-1/locations/us-central1/publishers/google/models/m:fetchPredictOperation',
    body: { operationName: name },
  })
})

it('finds a lost create at Vertex by its film in the bucket, and asks for that from then on', async () => {
  const talk = await talkTo(withoutLogin)
  talk.account.apiKey = apiKey
  const film = { kind: 'storage#object', bucket: 'films', name: 'own-1/77/sample 0.mp4' }
  const taskId = 'gs://films/own-1/77/sample 0.mp4'
  const page = { kind: 'storage#objects', nextPageToken: 'p2' }
  expect(await talk.search({}, page, { items: [film] })).toEqual({ kind: 'found', taskId })
  const paths = talk.heard().map(({ path }) => path)
  expect(paths[1]).toBe('/base/storage/v1/b/films/o?prefix=own-1%2F&pageToken=p2')
  // it may be at work still
  const empty = { kind: 'storage#objects' }
  expect(await talk.search({}, empty)).toMatchObject({ kind: 'doubtful' })
  talk.heard()
  const mediaLink = 'https://storage.googleapis.com/download/storage/v1/b/films/o/x?alt=media'
  const done = { kind: 'done', videoUrl: mediaLink }
  expect(await talk.get(taskId, { ...film, mediaLink })).toMatchObject(done)
  const asked = { method: 'GET', path: '/base/storage/v1/b/films/o/own-1%2F77%2Fsample%200.mp4' }
  expect(talk.heard()[0]).toMatchObject(asked)
})

it('takes a key that cannot sign for a bad key, and asks nothing', async () => {
  const talk = await talkTo(vertex)
  talk.account.apiKey = JSON.stringify({ ...account, privateKey: 'no PEM' })
  const refused = { kind: 'refused', error: { code: 'bad_key' } }
  expect(await talk.create({}, token)).toMatchObject(refused)
  expect(talk.heard()).toEqual([])
})

const done = (response: object) => ({ name, done: true, response })
const failed = (code: number, message: string) => ({ name, done: true, error: { code, message } })
it.each([
  ['not done', { name }, { kind: 'working', phase: 'running' }],
  ['not done, in so many words', { name, done: false }, { kind: 'working' }],
  [
    'films in the bucket',
    done({ videos: [{ gcsUri: 'gs://films/own-1/sample 0.mp4' }], raiMediaFilteredCount: 0 }),
    { kind: 'done', videoUrl: 'https://storage.googleapis.com/films/own-1/sample%200.mp4' },
  ],
  [
    'all films held back',
    done({ raiMediaFilteredCount: 1, raiMediaFilteredReasons: ['it shows a person'] }),
    { error: { code: 'content_policy', message: 'it shows a person' } },
  ],
  [
    'a film inside the answer',
    done({ videos: [{ bytesBase64Encoded: 'AA' }] }),
    { kind: 'unusable' },
  ],
  ['invalid', failed(3, 'bad size'), { error: { code: 'invalid_request', message: 'bad size' } }],
  ['its guidelines', failed(3, 'violates usage guidelines'), { error: { code: 'content_policy' } }],
  ['a fault within', failed(13, 'internal'), { error: { code: 'provider_failed' } }],
  ['its key', failed(7, 'denied'), { error: { code: 'bad_key' } }],
])('reads an operation: %s', async (_, said, meant) => {
  const talk = await talkTo(withoutLogin)
  expect(await talk.get(name, said)).toMatchObject(meant)
})

it('sends no picture by its address, which neither service fetches', async () => {
  const address = { imageUrls: ['https://a.example/1.png'] }
  const data = { imageUrls: ['data:image/png;base64,AAAA'] }
  const talks = [await talkTo(withoutLogin), await talkTo(gemini)]
  for (const talk of talks) {
    const refused = await talk.create(address, { name, id: 'v1_a' })
    expect(refused).toMatchObject({ kind: 'refused', error: { code: 'invalid_request' } })
    expect(talk.heard()).toEqual([])
    expect(await talk.create(data, { name, id: 'v1_a' })).toMatchObject({ kind: 'accepted' })
    expect(JSON.stringify(talk.heard()[0]!.body)).toContain('AAAA')
  }
})

const interaction = (status: string, content: object[] = []) => ({
  id: 'v1_a',
  status,
  ...(content.length > 0 ? { steps: [{ type: 'model_output', content }] } : {}),
})
it.each([
  [
    'a film after words',
    interaction('completed', [
      { type: 'text', text: 'here' },
      { type: 'video', uri: 'https://a.example/v' },
    ]),
    { kind: 'done', videoUrl: 'https://a.example/v' },
  ],
  [
    'words only',
    interaction('completed', [{ type: 'text', text: 'I cannot.' }]),
    { kind: 'failed', error: { message: 'I cannot.' } },
  ],
  ['completed with nothing', interaction('completed'), { kind: 'failed' }],
  ['no money for it', interaction('budget_exceeded'), { kind: 'failed' }],
  ['what a film never is', interaction('requires_action'), { kind: 'unknown' }],
  ['queued', interaction('queued'), { kind: 'working', phase: 'queued' }],
])('reads an interaction: %s', async (_, said, meant) => {
  const talk = await talkTo(gemini)
  expect(await talk.get('v1_a', said)).toMatchObject(meant)
})

it('asks Gemini by a header of its own, in the background, for a duration in words', async () => {
  const talk = await talkTo(gemini)
  await talk.create({ durationSeconds: 8 }, interaction('in_progress'))
  const [heard] = talk.heard()
  expect(heard!.headers).toMatchObject({ 'x-goog-api-key': talk.account.apiKey })
  expect(heard!.headers.authorization).toBeUndefined()
  expect(heard!.body).toMatchObject({
    background: true,
    store: true,
    response_format: { type: 'video', duration: '8s', delivery: 'uri' },
  })
  expect(
    createRestProvider(gemini.dialect, { createTimeoutMs: 1, getTimeoutMs: 1 }).can,
  ).toMatchObject({ cancel: 'any' })
})
