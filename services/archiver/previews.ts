/**
 * Pictures of a kept file, where the operator has ffmpeg (FFMPEG): a poster and a strip of small
 * frames. They are a convenience: whatever goes wrong there is none, and the file is kept all the
 * same. A file whose last holder died is kept without them, in case they were what killed it.
 *
 * What ffmpeg reads comes from a stranger. It gets no settings of ours, is told the container that
 * was found by the bytes, may open this process' own port and nothing else, and is killed when its
 * time is over.
 */
import { spawn } from 'node:child_process'
import { removePreviews, type FileStore } from '#libs/files/file-store.ts'
import { StoredFileServer } from '#libs/files/stored-file-server.ts'
import type { MediaFacts } from '#libs/files/media.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { FairSlots } from '#libs/runtime/fair-slots.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { previewKey, type PreviewKind } from '#libs/scene-video/video-file.ts'
import type { ClaimedFile, FileFacts } from '#libs/store/file-records.ts'

export type Previews = Pick<FileFacts, PreviewKind>
export const noPreviews: Previews = { poster: null, strip: null }

/** For both pictures of one file, the wait for a turn included. */
const limitMs = 60_000
/** A link with less than this left leaves no time for a second fetch. */
const leastLinkMs = 2 * limitMs
const atOnce = 2
const frames = 10
const longestSide = { poster: 1_280, strip: 160 }
const mostPixels = 8_192 * 8_192
const mostBytes = 4 * 1024 * 1024
const type = 'image/jpeg'
const startOfJpeg = 0xff_d8
/** It may use one thread and 256 MiB at a time, and open nothing but HTTP. */
const careful =
  '-nostdin -v error -threads 1 -max_alloc 268435456 -protocol_whitelist http,tcp'.split(' ')
const asJpeg = '-frames:v 1 -c:v mjpeg -q:v 4 -f image2pipe pipe:1'.split(' ')
/** ffmpeg's names of the containers that media.ts knows. */
const demuxers: Record<string, string> = {
  mp4: 'mov',
  quicktime: 'mov',
  webm: 'matroska',
  matroska: 'matroska',
  mpeg: 'mpegts',
  ogg: 'ogg',
}

export interface PreviewParts {
  /** Its path; a bare name is looked for in /usr/bin and /bin. */
  ffmpeg: string
  files: FileStore
  clock: Clock
  log: Logger
}

export class PreviewMaker implements AsyncDisposable {
  readonly #parts: PreviewParts
  readonly #server: StoredFileServer
  readonly #slots: FairSlots

  private constructor(parts: PreviewParts, server: StoredFileServer) {
    this.#parts = parts
    this.#server = server
    const { clock } = parts
    this.#slots = new FairSlots({ clock, total: atOnce, share: atOnce, patienceMs: limitMs })
  }

  /** Null, and why is logged, where there is no such ffmpeg. */
  static async open(parts: PreviewParts): Promise<PreviewMaker | null> {
    try {
      await run(parts.ffmpeg, ['-version'], AbortSignal.timeout(10_000))
      return new PreviewMaker(parts, await StoredFileServer.open(parts.files))
    } catch (err) {
      parts.log.warn({ err }, `no posters: ${parts.ffmpeg} does not run`)
      return null
    }
  }

  /** Made and stored; never throws. */
  async of(
    file: Pick<ClaimedFile, 'id' | 'userId' | 'untilExpiryMs' | 'wasAbandoned'>,
    key: string,
    media: MediaFacts,
    called: AbortSignal,
  ): Promise<Previews> {
    const demuxer = demuxers[media.container]
    if (!demuxer || media.width * media.height > mostPixels) return noPreviews
    // rule: no picture costs a file
    if (file.wasAbandoned || file.untilExpiryMs < leastLinkMs) return noPreviews
    const signal = AbortSignal.any([called, AbortSignal.timeout(limitMs)])
    try {
      return await this.#slots.run(file.userId, async () => {
        await using source = await this.#server.open(key)
        const input = [...careful, '-f', demuxer, '-i', source.url]
        const made = { ...noPreviews }
        for (const picture of picturesOf(media)) {
          signal.throwIfAborted()
          const jpeg = await run(this.#parts.ffmpeg, [...input, ...picture.output], signal)
          if (jpeg.readUInt16BE(0) !== startOfJpeg) throw new Error('ffmpeg gave no JPEG')
          await this.#parts.files.put(previewKey(key, picture.kind), only(jpeg), { type, signal })
          Object.assign(made, { [picture.kind]: { ...picture.told, bytes: jpeg.length, type } })
        }
        return made
      })
    } catch (err) {
      this.#parts.log.warn({ err, video: file.id }, 'no pictures of a file: ffmpeg failed')
      await removePreviews(this.#parts.files, key).catch(() => {})
      return noPreviews
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#slots.close()
    await this.#server[Symbol.asyncDispose]()
  }
}

interface Picture {
  kind: PreviewKind
  output: string[]
  told: { width: number; height: number; frames?: number }
}

function picturesOf(media: MediaFacts): Picture[] {
  const [large, small] = [fit(media, longestSide.poster), fit(media, longestSide.strip)]
  const scaled = ({ width, height }: typeof large) =>
    `scale=${width}:${height}:out_range=full,setsar=1,format=yuvj420p`
  const jpeg = (filters: string) => ['-map', '0:v:0', '-vf', filters, ...asJpeg]
  // the frame that stands for the first ones best: a beginning is often black
  const poster: Picture = {
    kind: 'poster',
    output: jpeg(`${scaled(large)},thumbnail=25`),
    told: large,
  }
  if (media.durationSeconds === null) return [poster]
  const rate = `fps=${frames / media.durationSeconds}`
  const output = jpeg(`${rate},${scaled(small)},tile=${frames}x1`)
  const told = { ...small, width: small.width * frames, frames }
  return [poster, { kind: 'strip', output, told }]
}

/** No larger than it is, its longer side `most` pixels. */
function fit({ width, height }: MediaFacts, most: number): { width: number; height: number } {
  const by = Math.min(1, most / Math.max(width, height))
  const side = (pixels: number) => Math.max(2, Math.round((pixels * by) / 2) * 2)
  return { width: side(width), height: side(height) }
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/** What it printed. @throws with what it complained of, or when `signal` ends it */
function run(command: string, args: string[], signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {},
      signal,
      killSignal: 'SIGKILL',
    })
    const chunks: Buffer[] = []
    let [bytes, complaint] = [0, '']
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > mostBytes) child.kill('SIGKILL')
      else chunks.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk).slice(-500)))
    child.once('error', reject)
    child.once('close', (code, killed) =>
      code === 0 && bytes > 1
        ? resolve(Buffer.concat(chunks))
        : reject(new Error(`ffmpeg ended with ${code ?? killed}: ${complaint.trim()}`)),
    )
  })
}
