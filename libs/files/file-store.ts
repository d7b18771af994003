/**
 * The port to a store of files. `directory-store.ts` and `s3-store.ts` implement it, and one suite
 * runs on both (test/conformance/file-store.ts).
 *
 * A file is there whole or not at all: a `put` that fails, or whose process dies, leaves nothing
 * under its key. Keys are written once; nobody changes a file.
 */
import { previewKey, previewKinds } from '#libs/scene-video/video-file.ts'

export interface FileStore extends AsyncDisposable {
  /** For people: where files are kept. Names no credentials. */
  readonly place: string
  /**
   * Stores what `body` yields, without ever holding it whole in memory. Returns the number of
   * bytes.
   * @throws StoreFull, or whatever `body` throws
   */
  put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<number>
  /**
   * The bytes from `start` to `end`, both included; all of them without a range. Null when there is
   * no such file.
   */
  read(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | null>
  /** In bytes; null when there is no such file. */
  size(key: string): Promise<number | null>
  /** Does nothing when there is no such file. */
  remove(key: string): Promise<void>
  /** Every file, in no order. @throws where the listing breaks off */
  list(): AsyncIterable<{ key: string; bytes: number }>
  /** A link that needs no key for `seconds`, where the store can give one. */
  presign?(key: string, options: PresignOptions): Promise<string>
}

/** A file, and before it the pictures of it. */
export async function removeFile(files: Pick<FileStore, 'remove'>, key: string): Promise<void> {
  await removePreviews(files, key)
  await files.remove(key)
}
export async function removePreviews(files: Pick<FileStore, 'remove'>, key: string) {
  for (const kind of previewKinds) await files.remove(previewKey(key, kind))
}

export interface PutOptions {
  /** Media type, such as `video/mp4`. */
  type: string
  signal?: AbortSignal
  /** Nobody else uses what `body` yields: its memory may be given back once it is stored. */
  givesUp?: boolean
}

export interface ByteRange {
  start: number
  end: number
}

export interface PresignOptions {
  seconds: number
  type: string
  disposition: string
}

/** No room: nothing was stored, and trying again at once is of no use. */
export class StoreFull extends Error {
  override name = 'StoreFull'
}

/**
 * Of a file, or of one piece of its path. Nothing that any file system or store reads as more than
 * a name.
 */
export const isFileKey = (key: string): boolean => /^[0-9a-z][0-9a-z._-]{0,199}$/.test(key)

/** @throws RangeError for a key that is not one */
export function requireFileKey(key: string): string {
  if (!isFileKey(key))
    throw new RangeError(`not a key of a file: ${JSON.stringify(key.slice(0, 80))}`)
  return key
}
