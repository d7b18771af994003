import type { FileFacts } from '#libs/store/file-records.ts'

/** Of a file that nobody has looked into. */
export const facts: FileFacts = {
  bytes: 1,
  sha256: 'x',
  type: 'video/mp4',
  container: 'mp4',
  codec: null,
  width: 1,
  height: 1,
  durationSeconds: null,
  framesPerSecond: null,
  hasAudio: false,
  poster: null,
  strip: null,
}
