/**
 * Veo on Vertex AI: an operation that is asked for by a POST. Films go to a bucket of the account's
 * own and are read there with its credentials. No look-up, no list of operations: a lost create
 * shows by its film in the bucket, under our own id, once it is done. Not yet run against the real
 * service.
 */
import { createSign } from 'node:crypto'
import type { Declaration } from '../declaration.ts'
import type { OpenAccount } from '../edge/dialect.ts'
import { at, firstText } from '../edge/fields.ts'
import { googleErrors, takesNoAddress } from './google.ts'
import { inline } from './inline.ts'

/** Google has the tokens at one host; one who stands in for it has them at its own. */
const tokensOf = (baseUrl: string) =>
  new URL(baseUrl).host.endsWith('.googleapis.com')
    ? { baseUrl: 'https://oauth2.googleapis.com' }
    : {}

const day = 24 * 3_600_000
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token for a statement that is signed with the service account's key. */
function login({ credentials, baseUrl }: OpenAccount, nowSeconds: number) {
  const { clientEmail, privateKey = '' } = credentials
  const claims = {
    iss: clientEmail,
    scope: 'https://www.googleapis.com/auth/cloud-platform',
    aud: 'https://oauth2.googleapis.com/token',
    iat: nowSeconds,
    exp: nowSeconds + 3_600,
  }
  const text = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`
  const pem = privateKey.replaceAll('\\n', '\n')
  const assertion = `${text}.${createSign('RSA-SHA256').update(text).sign(pem, 'base64url')}`
  return {
    ...tokensOf(baseUrl),
    path: '/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion,
    }).toString(),
    secrets: [assertion],
  }
}

const locationOf = ({ baseUrl }: OpenAccount) =>
  /^([\w-]+)-aiplatform\./.exec(new URL(baseUrl).host)?.[1] ?? 'us-central1'

function picture(url: string) {
  const [type = ''] = /\.(png|jpe?g|webp)$/i.exec(url)?.slice(1) ?? []
  if (url.startsWith('gs://'))
    return { gcsUri: url, mimeType: `image/${type.replace('jpg', 'jpeg') || 'png'}` }
  const data = inline(url)
  return data && { bytesBase64Encoded: data.data, mimeType: data.type }
}

/** The bucket's own service; who stands in for Google has it at the same address. */
const storageOf = (baseUrl: string) =>
  new URL(baseUrl).host.endsWith('.googleapis.com')
    ? { baseUrl: 'https://storage.googleapis.com' }
    : {}
const objectsOf = (bucket: string) => `/storage/v1/b/${encodeURIComponent(bucket)}/o`

/** A film found in the bucket is asked for there, by `gs://bucket/name`. */
const foundFilm = /^gs:\/\/([^/]+)\/(.+)$/s
function filmAt(baseUrl: string, [, bucket = '', name = '']: RegExpExecArray) {
  const path = `${objectsOf(bucket)}/${encodeURIComponent(name)}`
  return { ...storageOf(baseUrl), method: 'GET' as const, path }
}

function filmOf(item: unknown): string | null {
  const [bucket, name] = [firstText(item, ['bucket']), firstText(item, ['name'])]
  return bucket === null || name === null ? null : `gs://${bucket}/${name}`
}

/** `gs://bucket/film.mp4` as it is fetched. */
const toLink = (text: string) =>
  text.replace(/^gs:\/\/(.+)$/, (_, path: string) => {
    return `https://storage.googleapis.com/${path.split('/').map(encodeURIComponent).join('/')}`
  })

/** An operation has no word: it is done or not, with films, an error, or films held back. */
function wordOf(answer: unknown): string | null {
  if (firstText(answer, ['kind']) === 'storage#object') return 'done'
  const [done] = at(answer, 'done')
  if (done === undefined) return firstText(answer, ['name']) === null ? null : 'running'
  if (typeof done !== 'boolean') return String(done)
  if (!done) return 'running'
  if (at(answer, 'error').length > 0) return 'failed'
  const isBlocked = Number(firstText(answer, ['response.raiMediaFilteredCount']) ?? 0) > 0
  return at(answer, 'response.videos[]').length === 0 && isBlocked ? 'blocked' : 'done'
}

export const vertex: Declaration = {
  baseUrl: 'https://us-central1-aiplatform.googleapis.com/v1',
  credentials: [
    { name: 'clientEmail', meaning: 'client_email of a service account', isPublic: true },
    { name: 'privateKey', meaning: 'its private_key, in PEM' },
    { name: 'project', meaning: 'id of the project', isPublic: true },
    { name: 'bucket', meaning: 'name of the bucket that films go to', isPublic: true },
  ],
  model: 'veo-3.1-generate-001',
  models: ['veo-3.1-generate-001', 'veo-3.1-fast-generate-001'].map((name) => ({
    name,
    durations: [4, 6, 8],
    aspectRatios: ['16:9', '9:16'],
    resolutions: ['720p', '1080p', '4k'],
    inputs: ['text', 'image'],
  })),
  linkNeedsKey: true,
  linkHosts: ['storage.googleapis.com', 'www.googleapis.com'],
  // every location has a host of its own
  ownHosts: ['googleapis.com'],
  images: { links: false, dataBytes: 10 * 1024 * 1024 },
  dialect: {
    ...googleErrors,
    name: 'vertex',
    expectedMs: 10 * 60_000,
    // the bucket's own; asked for no longer than this
    resultLifeMs: day,
    login: { ask: login, token: ['access_token'], lifeSeconds: ['expires_in'] },
    authenticate: ({ token }) => ({ headers: { authorization: `Bearer ${token}` }, secrets: [] }),
    create: (input, account) => {
      const [image, lastFrame] = (input.imageUrls ?? []).map(picture)
      if (image === null || lastFrame === null) return takesNoAddress
      const { project, bucket } = account.credentials
      const model = `projects/${project}/locations/${locationOf(account)}/publishers/google/models`
      return {
        path: `/${model}/${encodeURIComponent(input.model)}:predictLongRunning`,
        body: {
          instances: [{ prompt: input.prompt, image, lastFrame }],
          parameters: {
            sampleCount: 1,
            durationSeconds: input.durationSeconds,
            aspectRatio: input.aspectRatio,
            resolution: input.resolution,
            storageUri: `gs://${bucket}/${input.ownId}/`,
          },
        },
      }
    },
    createdId: ['name'],
    get: (handle, { baseUrl }) => {
      const film = foundFilm.exec(handle)
      if (film) return filmAt(baseUrl, film)
      const path = `/${handle.replace(/\/operations\/.*$/s, '')}:fetchPredictOperation`
      return { path, body: { operationName: handle } }
    },
    idOf: (handle) => foundFilm.exec(handle)?.[2] ?? handle,
    list: {
      reachMs: day,
      ask: ({ ownId, cursor }, { baseUrl, credentials: { bucket = '' } }) => {
        const query = new URLSearchParams({
          prefix: `${ownId}/`,
          ...(cursor && { pageToken: cursor }),
        })
        return { ...storageOf(baseUrl), path: `${objectsOf(bucket)}?${query.toString()}` }
      },
      items: 'items[]',
      next: (answer) => firstText(answer, ['nextPageToken']),
      // what is not done yet has no film, nor has what fails
      provesAbsence: false,
      handle: filmOf,
      mark: ['name'],
    },
    task: {
      id: ['name'],
      status: [],
      word: wordOf,
      links: ['response.videos[].gcsUri', 'mediaLink'],
      toLink,
      reason: ['error.message', 'response.raiMediaFilteredReasons[]'],
      reasonCode: ['error.code'],
    },
    progressIn: 'percent',
    words: { running: 'running', done: 'done', failed: 'failed', blocked: 'blocked' },
  },
}
