import { readFileSync } from 'node:fs'

/** A real MP4: two seconds of a test picture, H.264, 160×90. */
export const clip: Buffer = readFileSync(new URL('clip.mp4', import.meta.url))
