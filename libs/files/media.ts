/**
 * What a stored file is, told by its bytes and not by what somebody said of it. Reads only the pieces
 * it needs; a file that is no video of a known container is refused.
 */
import {
  CustomSource,
  Input,
  MATROSKA,
  MP4,
  MPEG_TS,
  OGG,
  QTFF,
  WEBM,
  type InputVideoTrack,
} from 'mediabunny'
import type { FileStore } from './file-store.ts'

export interface MediaFacts {
  /** Media type of the container, such as `video/mp4`. */
  type: string
  /** Such as `MP4` or `WebM`. */
  container: string
  /** Such as `avc`; null where it is not known. */
  codec: string | null
  width: number
  height: number
  /** Null where neither header nor packets tell. */
  durationSeconds: number | null
  framesPerSecond: number | null
  hasAudio: boolean
}

/** The bytes are no video of a known container. */
export class NotAVideo extends Error {
  override name = 'NotAVideo'
}

const formats = [MP4, QTFF, WEBM, MATROSKA, MPEG_TS, OGG]
/** Packets looked at to tell the frame rate. */
const packetsLookedAt = 50
/** One read of a parser that has gone astray must not fetch a whole file. */
const longestReadBytes = 16 * 1024 * 1024

/** @throws NotAVideo, or what the store threw: then nothing is known of the file */
export async function readMediaFacts(
  store: Pick<FileStore, 'read' | 'size'>,
  key: string,
): Promise<MediaFacts> {
  const bytes = await store.size(key)
  if (bytes === null) throw new Error(`there is no file ${key}`)
  let storeFailed: unknown
  const source = new CustomSource({
    getSize: () => bytes,
    read: (start, end) =>
      readBytes(store, key, start, end).catch((err: unknown) => {
        storeFailed = err
        throw err
      }),
    maxCacheSize: 4 * 1024 * 1024,
    prefetchProfile: 'fileSystem',
  })
  using input = new Input({ formats, source })
  try {
    const [format, video] = [await input.getFormat(), await input.getPrimaryVideoTrack()]
    if (!video) throw new NotAVideo(`a ${format.name} without a video track`)
    return {
      type: format.mimeType,
      container: format.name,
      codec: await video.getCodec(),
      width: await video.getDisplayWidth(),
      height: await video.getDisplayHeight(),
      durationSeconds: positive(await input.getDurationFromMetadata().catch(() => null)),
      framesPerSecond: positive(await frameRate(video)),
      hasAudio: (await input.getPrimaryAudioTrack()) !== null,
    }
  } catch (err) {
    if (storeFailed !== undefined) throw storeFailed
    if (err instanceof NotAVideo) throw err
    throw new NotAVideo(`not a video: ${(err as Error).message.slice(0, 200)}`, { cause: err })
  }
}

async function readBytes(
  store: Pick<FileStore, 'read'>,
  key: string,
  start: number,
  end: number,
): Promise<Uint8Array> {
  if (end - start > longestReadBytes) throw new NotAVideo('its header is larger than 16 MiB')
  const chunks: Uint8Array[] = []
  for await (const chunk of (await store.read(key, { start, end: end - 1 })) ?? [])
    chunks.push(chunk)
  return Buffer.concat(chunks)
}

const frameRate = (video: InputVideoTrack) =>
  video.computePacketStats(packetsLookedAt).then(
    (stats) => Math.round(stats.averagePacketRate * 1_000) / 1_000,
    () => null,
  )

const positive = (value: number | null) =>
  value !== null && Number.isFinite(value) && value > 0 ? value : null
