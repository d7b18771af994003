/**
 * What comes as an upload: an image, told by its bytes, into the store of files; and whether
 * uploads can be used by whoever is to make the video.
 */
import { fileTypeFromBuffer } from 'file-type'
import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { ProviderDescription } from '#libs/provider/registry.ts'
import { isUploadId } from '#libs/scene-video/scene-video.ts'
import { uploadKey } from '#libs/store/uploads.ts'
import { v7 } from '#libs/runtime/uuid.ts'
import type { Context } from './context.ts'
import { Problem, unprocessable } from './problem.ts'
import type { Leave } from './turns.ts'

export const imageTypes = ['image/png', 'image/jpeg', 'image/webp'] as const
/** What the type of a file is told by. */
const headBytes = 4_100

export interface Uploaded {
  id: string
  bytes: number
  type: string
}

/**
 * Stores an image; nothing of it is kept where it is refused or breaks off.
 * @throws Problem 413, 415, 429
 */
export async function keepUpload(
  context: Pick<Context, 'uploads' | 'files' | 'uploadLimits' | 'storeTurns'>,
  userId: string,
  body: Readable,
): Promise<Uploaded> {
  const { uploads, files, storeTurns } = context
  const { most, mostBytes } = context.uploadLimits
  const id = v7()
  if (!(await uploads.begin(userId, { id, linkSecret: randomBytes(32), most })))
    throw new Problem(
      429,
      'limit_exceeded',
      `This user has ${most} uploads, which is all it may have; those that nothing uses go after a day.`,
      { retryAfterSeconds: 3_600, limit: { name: 'uploads', limit: most, used: most } },
    )
  let leave: Leave = () => {}
  try {
    const chunks = limited(body, mostBytes)
    const head = await headOf(chunks)
    const type = await imageTypeOf(head)
    const whole = async function* () {
      yield head
      yield* chunks
    }
    const inTurns = async function* () {
      for await (const chunk of whole()) {
        // each piece waits for its user's turn
        leave = await storeTurns.next(userId)
        yield chunk
        leave()
      }
      // rule: an upload keeps a turn of its user until the store has all of it
      leave = await storeTurns.next(userId)
    }
    const bytes = await files.put(uploadKey(id), inTurns(), { type })
    if (!(await uploads.stored(id, { type, bytes })))
      throw new Problem(503, 'not_ready', 'The upload took too long; send it again.')
    return { id, bytes, type }
  } catch (err) {
    // what stays is removed after a day
    await files.remove(uploadKey(id)).then(
      () => uploads.forget([id]),
      () => {},
    )
    throw err
  } finally {
    leave()
  }
}

export const brokenOff = () =>
  new Problem(400, 'invalid_request', 'The body broke off, or is not multipart/form-data.')

async function* limited(body: Readable, mostBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0
  try {
    // not destroyed: its connection is needed for the answer
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > mostBytes)
        throw new Problem(413, 'too_large', `The image is too large: ${mostBytes} bytes at most.`)
      yield chunk
    }
  } catch (err) {
    throw err instanceof Problem ? err : brokenOff()
  }
}

/** The first bytes, as many as the type is told by; the rest is still to be read. */
async function headOf(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  const head: Buffer[] = []
  for (let bytes = 0; bytes < headBytes;) {
    const { value, done } = await chunks.next()
    if (done) break
    head.push(value)
    bytes += value.length
  }
  return Buffer.concat(head)
}

/** @throws Problem 415 */
async function imageTypeOf(head: Buffer): Promise<string> {
  const found = await fileTypeFromBuffer(head)
  const type = imageTypes.find((one) => one === found?.mime)
  if (type) return type
  throw new Problem(
    415,
    'unsupported_media_type',
    `By its bytes this is ${found ? found.mime : 'no image'}; send one of ${imageTypes.join(', ')}.`,
  )
}

/** @throws Problem 422 where an upload is not there, or this provider cannot be given it */
export async function requireUsableUploads(
  { uploads, publicUrl }: Pick<Context, 'uploads' | 'publicUrl'>,
  userId: string,
  { name, images }: Pick<ProviderDescription, 'name' | 'images'>,
  imageUrls: readonly string[],
  imagesAt: string,
): Promise<void> {
  const at = (index: number) => `${imagesAt}/${index}`
  const wanted = imageUrls.map((one, i) => ({ id: one.toLowerCase(), i }))
  const asked = wanted.filter(({ id }) => isUploadId(id))
  if (asked.length === 0) return
  const found = await uploads.use(
    userId,
    asked.map(({ id }) => id),
  )
  for (const { id, i } of asked) {
    const upload = found.find((one) => one.id === id)
    if (!upload)
      throw unprocessable(
        'unknown_upload',
        at(i),
        'there is no such upload; unused ones go after a day',
      )
    if (publicUrl !== null && images.links) continue
    if (images.dataBytes === 0)
      throw unprocessable(
        'no_public_address',
        at(i),
        `${name} fetches images itself, and this installation has no public address (PUBLIC_URL)`,
      )
    if (upload.bytes > images.dataBytes)
      throw unprocessable(
        'image_too_large',
        at(i),
        `${name} takes images of at most ${images.dataBytes} bytes within a request`,
      )
  }
}
