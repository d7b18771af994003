/**
 * The images of a create, as its provider takes them: an upload becomes a link of ours that
 * expires, where there is a public address and the provider fetches links; else it goes into the
 * create, within bounds. The same video gets the same links again, so that a create repeated under
 * its key has the same body.
 */
import type { FileStore } from '#libs/files/file-store.ts'
import { uploadLink } from '#libs/files/upload-links.ts'
import type { ImageInputs } from '#libs/provider/declaration.ts'
import type { CreateRequest } from '#libs/provider/provider.ts'
import { imagesOf } from '#libs/provider/registry.ts'
import { isUploadId } from '#libs/scene-video/scene-video.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import { uploadKey, type Upload, type Uploads } from '#libs/store/uploads.ts'

/** From the request on: longer than a create may wait, and its provider may need. */
const linkLifeMs = 3 * 24 * 3_600_000
/** Of all images within one create, in bytes. */
export const mostInlineBytes = 20 * 1024 * 1024

/** What a video has of it. */
interface Of {
  userId: string
  provider: string
  requestedAt: Date
}

/** Why there is no request. `later`: it may be had soon. */
export type NoImages = { refused: string } | { later: string }

export interface ImageSource {
  /** The request with links or data in place of its uploads; itself where it has none. */
  of(request: CreateRequest, of: Of): Promise<CreateRequest | NoImages>
}

export const hasUploads = ({ imageUrls = [] }: Pick<CreateRequest, 'imageUrls'>): boolean =>
  imageUrls.some(isUploadId)

export class Images implements ImageSource {
  readonly #uploads: Pick<InterfaceOf<Uploads>, 'use'>
  readonly #files: Pick<FileStore, 'read'>
  readonly #publicUrl: string | undefined
  constructor(
    uploads: Pick<InterfaceOf<Uploads>, 'use'>,
    files: Pick<FileStore, 'read'>,
    publicUrl: string | undefined,
  ) {
    this.#uploads = uploads
    this.#files = files
    this.#publicUrl = publicUrl
  }

  async of(request: CreateRequest, of: Of): Promise<CreateRequest | NoImages> {
    const given = request.imageUrls ?? []
    const ids = given.filter(isUploadId).map((id) => id.toLowerCase())
    if (ids.length === 0) return request
    try {
      const uploads = new Map((await this.#uploads.use(of.userId, ids)).map((one) => [one.id, one]))
      const missing = ids.find((id) => !uploads.has(id))
      if (missing !== undefined) return { refused: `The upload ${missing} was deleted.` }
      const takes = imagesOf(of.provider)
      const refused = this.#publicUrl && takes.links ? null : tooMuch([...uploads.values()], takes)
      if (refused !== null) return { refused }
      const images = new Map<string, string>()
      for (const [id, upload] of uploads) images.set(id, await this.#imageOf(upload, takes, of))
      return { ...request, imageUrls: given.map((one) => images.get(one.toLowerCase()) ?? one) }
    } catch (err) {
      return { later: `its images cannot be read: ${(err as Error).message}`.slice(0, 200) }
    }
  }

  async #imageOf(upload: Upload, { links }: ImageInputs, { requestedAt }: Of): Promise<string> {
    if (this.#publicUrl && links) {
      const expires = Math.floor((requestedAt.getTime() + linkLifeMs) / 1_000)
      return uploadLink(this.#publicUrl, upload, expires)
    }
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of (await this.#files.read(uploadKey(upload.id))) ?? []) {
      bytes += chunk.length
      if (bytes > upload.bytes) break
      chunks.push(chunk)
    }
    if (bytes !== upload.bytes) throw new Error(`${upload.id} is not whole in the store of files`)
    return `data:${upload.type};base64,${Buffer.concat(chunks).toString('base64')}`
  }
}

/** Why these cannot go into one create; null where they can. */
function tooMuch(uploads: readonly Upload[], { dataBytes, links }: ImageInputs): string | null {
  if (dataBytes === 0)
    return `It takes images by their address${links ? ', and there is no PUBLIC_URL' : ''}.`
  if (uploads.some(({ bytes }) => bytes > dataBytes))
    return `It takes images of at most ${dataBytes} bytes within a request.`
  const all = uploads.reduce((sum, { bytes }) => sum + bytes, 0)
  return all > mostInlineBytes
    ? `Its images have ${all} bytes, of ${mostInlineBytes} that one request may have.`
    : null
}
