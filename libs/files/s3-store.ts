/**
 * Files in an S3-compatible bucket. Uploads are multipart with at most two parts of 8 MiB in
 * memory, aborted when they fail; a file appears with the upload's completion, whole or not at all.
 * Parts that a dead process left behind are the bucket's to expire: set a lifecycle rule for
 * incomplete multipart uploads.
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  S3Client,
  S3ServiceException,
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
}

const partBytes = 8 * 1024 * 1024
const partsAtOnce = 2

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

function clientOf({ region, endpoint, pathStyle, credentials }: S3Options): S3Client {
  return new S3Client({
    region,
    forcePathStyle: pathStyle,
    ...(endpoint ? { endpoint } : {}),
    ...(credentials ? { credentials } : {}),
    // Checksums where an operation demands them: services that copy S3 do not know all of them.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
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
      bytes += chunk.length
      yield chunk
    }
  }
  const running = new Upload({
    client,
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
  const abort = () => void running.abort().catch(() => {})
  signal?.addEventListener('abort', abort, { once: true })
  try {
    signal?.throwIfAborted()
    await running.done()
    return bytes
  } catch (err) {
    if (err instanceof S3ServiceException && fullCodes.has(err.name))
      throw new StoreFull(`no room in bucket ${at.Bucket}: ${err.name}`, { cause: err })
    throw err
  } finally {
    signal?.removeEventListener('abort', abort)
  }
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
