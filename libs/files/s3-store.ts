/**
 * Files in an S3-compatible bucket. What is larger than 5 MiB is put in parts of that size, of
 * which one to four are in memory, as many files are in work; a file appears with the upload's
 * completion, whole or not at all, and the parts of one that fails are removed.
 * Parts that a dead process left behind are the bucket's to expire: set a lifecycle rule for
 * incomplete multipart uploads. A service that does not answer fails a call within a minute or two.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
  type CompletedPart,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { Readable } from 'node:stream'
import { requireFileKey, StoreFull, type FileStore, type PutOptions } from './file-store.ts'
import { FileMemory, inParts, PartMemory } from './parts.ts'

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

/** The least that S3 takes; of at most 10,000 parts it makes a file of 48 GiB. */
const partBytes = 5 * 1024 * 1024
/** Beside one for each file: 40 MiB. */
const furtherParts = 8
/** Until a connection is made; until an answer begins; without a byte of one. */
const patience = { connectionTimeout: 5_000, requestTimeout: 30_000, socketTimeout: 300_000 }
/** Each reader who pauses holds one: with the SDK's own 50 they would be all of them. */
const connections = { keepAlive: true, maxSockets: 10_000, maxFreeSockets: 64 }

export function openS3Store(options: S3Options): FileStore {
  const { bucket: Bucket, prefix } = options
  const client = clientOf(options)
  const at = (key: string) => ({ Bucket, Key: prefix + requireFileKey(key) })
  const memory = new PartMemory(partBytes, furtherParts)
  return {
    place: `bucket ${Bucket}${prefix && `, prefix ${prefix}`}`,
    put: (key, body, put) => upload(client, memory, body, put, objectOf(at(key), put, options)),
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

type NewObject = Omit<PutObjectCommandInput, 'Body'> & At

const objectOf = (
  at: At,
  { type }: PutOptions,
  { encryption, kmsKeyId, checksums }: S3Options,
): NewObject => ({
  ...at,
  ContentType: type,
  ...(encryption ? { ServerSideEncryption: encryption } : {}),
  ...(kmsKeyId ? { SSEKMSKeyId: kmsKeyId } : {}),
  ...(checksums ? { ChecksumAlgorithm: 'CRC32' as const } : {}),
})

/** What makes the file is not called off: its outcome would not be known. */
async function upload(
  client: S3Client,
  memory: PartMemory,
  body: AsyncIterable<Uint8Array>,
  put: PutOptions,
  object: NewObject,
): Promise<number> {
  // the first part that fails calls off those beside it, and the reading
  const failed = new AbortController()
  const signal = AbortSignal.any([failed.signal, ...(put.signal ? [put.signal] : [])])
  using own = new FileMemory(memory, signal)
  let bytes = 0
  let parts: PartsOfOne | null = null
  try {
    for await (const { part, isLast } of inParts(body, own, { ...put, signal })) {
      bytes += part.length
      if (isLast && !parts) {
        await client.send(new PutObjectCommand({ ...object, Body: part }))
        own.free(part)
      } else {
        parts ??= await PartsOfOne.begin(client, object, signal)
        parts.add(part).then(
          () => own.free(part),
          (err: unknown) => failed.abort(err),
        )
      }
    }
    await parts?.complete()
    return bytes
  } catch (err) {
    failed.abort()
    await parts?.abort()
    throw told(err, object.Bucket)
  }
}

interface At {
  Bucket: string
  Key: string
}

/** An upload in parts, several at once; nothing of it is seen until it is complete. */
class PartsOfOne {
  readonly #client: S3Client
  readonly #upload: At & { UploadId: string }
  readonly #signal: AbortSignal
  readonly #sent: Promise<CompletedPart>[] = []

  private constructor(client: S3Client, upload: At & { UploadId: string }, signal: AbortSignal) {
    this.#client = client
    this.#upload = upload
    this.#signal = signal
  }

  /** `signal`: its parts are called off. */
  static async begin(client: S3Client, object: NewObject, signal: AbortSignal) {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object))
    const { Bucket, Key } = object
    return new PartsOfOne(client, { Bucket, Key, UploadId: UploadId! }, signal)
  }

  /** Once it is sent. */
  add(part: Uint8Array): Promise<CompletedPart> {
    const sent = this.#send(this.#sent.length + 1, part)
    this.#sent.push(sent)
    return sent
  }

  async #send(PartNumber: number, Body: Uint8Array): Promise<CompletedPart> {
    const { ETag, ChecksumCRC32 } = await this.#client.send(
      new UploadPartCommand({ ...this.#upload, PartNumber, Body }),
      { abortSignal: this.#signal },
    )
    return { PartNumber, ETag, ChecksumCRC32 }
  }

  /** Once all are sent. @throws what one of them failed with */
  async complete(): Promise<void> {
    const MultipartUpload = { Parts: await Promise.all(this.#sent) }
    await this.#client.send(
      new CompleteMultipartUploadCommand({ ...this.#upload, MultipartUpload }),
    )
  }

  /** Removes its parts, once none is on its way, if they are not the file by now. Never throws. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#sent)
    await this.#client.send(new AbortMultipartUploadCommand(this.#upload)).catch(() => {})
  }
}

/** What an error says to people: the SDK's own text may be "UnknownError" and no more. */
function told(err: unknown, bucket: string): unknown {
  if (!(err instanceof S3ServiceException)) return err
  return fullCodes.has(err.name)
    ? new StoreFull(`no room in bucket ${bucket}: ${err.name}`, { cause: err })
    : new Error(`the bucket ${bucket} answers ${err.name}`, { cause: err })
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
