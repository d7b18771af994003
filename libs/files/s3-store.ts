/**
 * Files in an S3-compatible bucket. Uploads are multipart with at most two parts of 8 MiB in
 * memory, aborted when they fail; a file appears with the upload's completion, whole or not at all.
 * Parts that a dead process left behind are the bucket's to expire: set a lifecycle rule for
 * incomplete multipart uploads. A service that does not answer fails a call within a minute or two.
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { Readable } from 'node:stream'
import { requireFileKey, StoreFull, type FileStore, type PutOptions } from './file-store.ts'

export interface S3Options {
  bucket: string
  region: string
  /** Before every key; ends with a slash or is empty. */
  prefix: string
  /** Of a service other than AWS'. */
  endpoint?: string | undefined
  /** `https://endpoint/bucket/key` instead of `https://bucket.endpoint/key`. */
  pathStyle: boolean
  /** Without them the SDK's own chain: environment, files, the pod's role. */
  credentials?: { accessKeyId: string; secretAccessKey: string } | undefined
  /** Server-side encryption: `AES256`, or `aws:kms` with the key's id. */
  encryption?: 'AES256' | 'aws:kms' | undefined
  kmsKeyId?: string | undefined
  /** CRCs with every part, and held against a file of one part; not all copies of S3 know them. */
  checksums?: boolean
}

const partBytes = 8 * 1024 * 1024
const partsAtOnce = 2
/** Until a connection is made; until an answer begins; without a byte of one. */
const patience = { connectionTimeout: 5_000, requestTimeout: 30_000, socketTimeout: 300_000 }
/** Each reader who pauses holds one: with the SDK's own 50 they would be all of them. */
const connections = { keepAlive: true, maxSockets: 10_000, maxFreeSockets: 64 }

export function openS3Store(options: S3Options): FileStore {
  const { bucket: Bucket, prefix } = options
  const client = clientOf(options)
  const at = (key: string) => ({ Bucket, Key: prefix + requireFileKey(key) })
  return {
    place: `bucket ${Bucket}${prefix && `, prefix ${prefix}`}`,
    put: (key, body, put) => upload(client, at(key), body, put, options),
    async read(key, range) {
      const Range = range && { Range: `bytes=${range.start}-${range.end}` }
      const found = await orNull(client.send(new GetObjectCommand({ ...at(key), ...Range })))
      return found === null ? null : (found.Body as Readable)
    },
    async size(key) {
      const found = await orNull(client.send(new HeadObjectCommand(at(key))))
      return found === null ? null : (found.ContentLength ?? 0)
    },
    async remove(key) {
      await client.send(new DeleteObjectCommand(at(key)))
    },
    async *list() {
      for await (const page of paginateListObjectsV2({ client }, { Bucket, Prefix: prefix }))
        for (const { Key = '', Size = 0 } of page.Contents ?? [])
          yield { key: Key.slice(prefix.length), bytes: Size }
    },
    presign: (key, { seconds, type, disposition }) =>
      getSignedUrl(
        client,
        new GetObjectCommand({
          ...at(key),
          ResponseContentType: type,
          ResponseContentDisposition: disposition,
        }),
        { expiresIn: seconds },
      ),
    async [Symbol.asyncDispose]() {
      client.destroy()
    },
  }
}

function clientOf(options: S3Options): S3Client {
  const { region, endpoint, pathStyle, credentials, checksums } = options
  const calculation = checksums ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED'

  return new S3Client({
    region,
    forcePathStyle: pathStyle,
    ...(endpoint ? { endpoint } : {}),
    ...(credentials ? { credentials } : {}),
    requestChecksumCalculation: calculation,
    responseChecksumValidation: calculation,
    requestHandler: {
      ...patience,
      throwOnRequestTimeout: true,
      httpAgent: connections,
      httpsAgent: connections,
    },
  })
}

async function upload(
  client: S3Client,
  at: { Bucket: string; Key: string },
  body: AsyncIterable<Uint8Array>,
  { type, signal }: PutOptions,
  { encryption, kmsKeyId }: S3Options,
): Promise<number> {
  let bytes = 0
  const counted = async function* () {
    for await (const chunk of body) {
      signal?.throwIfAborted()
      bytes += chunk.length
      yield chunk
    }
    signal?.throwIfAborted()
  }
  const running = new Upload({
    client: callingOff(client, signal),
    params: {
      ...at,
      Body: Readable.from(counted(), { objectMode: false }),
      ContentType: type,
      ...(encryption ? { ServerSideEncryption: encryption } : {}),
      ...(kmsKeyId ? { SSEKMSKeyId: kmsKeyId } : {}),
    },
    partSize: partBytes,
    queueSize: partsAtOnce,
  })
  try {
    signal?.throwIfAborted()
    await running.done()
    return bytes
  } catch (err) {
    if (err instanceof S3ServiceException && fullCodes.has(err.name))
      throw new StoreFull(`no room in bucket ${at.Bucket}: ${err.name}`, { cause: err })
    // the SDK's own text may be "UnknownError" and no more
    if (err instanceof S3ServiceException)
      throw new Error(`the bucket ${at.Bucket} answers ${err.name}`, { cause: err })
    throw err
  }
}

/**
 * The client, whose parts end with the signal. `Upload.abort` is not used: it settles `done` at
 * once, while the upload goes on, may leave its parts, and may yet complete. Whatever makes a file
 * or removes parts is not called off: its outcome would not be known.
 */
function callingOff(client: S3Client, signal: AbortSignal | undefined): S3Client {
  if (!signal) return client
  const send = (command: Parameters<S3Client['send']>[0]) =>
    command instanceof UploadPartCommand
      ? client.send(command, { abortSignal: signal })
      : client.send(command)
  return Object.create(client, { send: { value: send } }) as S3Client
}

const fullCodes = new Set(['QuotaExceeded', 'InsufficientStorage', 'XMinioStorageFull'])
const missingCodes = new Set(['NoSuchKey', 'NotFound'])

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer
  } catch (err) {
    if (err instanceof S3ServiceException && missingCodes.has(err.name)) return null
    throw err
  }
}
