/**
 * What a stored file is, told by its bytes and not by what somebody said of it. Reads only the
 * pieces it needs; a file that is no video of a known container is refused.
 */
import {
  CustomSource,
  EncodedPacketSink,
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
  /** Such as `mp4` or `webm`. */
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
  const read = (start: number, end: number) =>
    readBytes(store, key, start, end).catch((err: unknown) => {
      // rule: a store that is away says nothing of a file
      storeFailed = err
      throw err
    })
  const source = new CustomSource({
    getSize: () => bytes,
    read,
    maxCacheSize: 4 * 1024 * 1024,
    prefetchProfile: 'fileSystem',
  })
  using input = new Input({ formats, source })
  try {
    const [format, video] = [await input.getFormat(), await input.getPrimaryVideoTrack()]
    if (!video) throw new NotAVideo(`a ${format.name} without a video track`)
    await requireWhole(video, format === MP4 || format === QTFF ? { read, bytes } : null)
    return {
      type: format.mimeType,
      container: format.name.split(' ')[0]!.toLowerCase(),
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

/** @throws NotAVideo where its last frame, or the rest of its last box, is not there */
async function requireWhole(
  video: InputVideoTrack,
  iso: { read(start: number, end: number): Promise<Uint8Array>; bytes: number } | null,
): Promise<void> {
  if ((await new EncodedPacketSink(video).getPacket(Infinity)) === null)
    throw new NotAVideo('it breaks off before its last frame')
  for (let at = 0; iso && at < iso.bytes;) {
    const end = Math.min(at + 16, iso.bytes)
    const size = boxSize(Buffer.from(await iso.read(at, end)))
    if (size === 0) return // the last box, which ends with the file
    if (size < 8 || at + size > iso.bytes) throw new NotAVideo('it breaks off within a box')
    at += size
  }
}

/** Of an ISO base media file, in bytes; ISO/IEC 14496-12, 4.2. */
function boxSize(header: Buffer): number {
  if (header.length < 8) return -1
  const size = header.readUInt32BE(0)
  if (size !== 1) return size
  return header.length < 16 ? -1 : Number(header.readBigUInt64BE(8))
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
