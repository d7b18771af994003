/** The pictures of a kept film of 160 × 90 pixels, as the gateway tells of them and serves them. */
import { describe, expect, it } from 'vitest'
import type { Stack } from './gateway-kit.ts'

const expected = [
  ['poster', { width: 160, height: 90 }],
  ['strip', { width: 1_600, height: 90, frames: 10 }],
] as const

/** `why` there is no ffmpeg here, or null. */
export function describesPictures(stack: Stack, idOf: () => string, why: string | null): void {
  describe.skipIf(why !== null)(`with ffmpeg${why ? ` (not run: ${why})` : ''}`, () => {
    it.each(expected)('tells of a %s, and serves it', async (kind, told) => {
      const { body } = await stack.ask('GET', `/api/scene-videos/${idOf()}`)
      const url = `/api/scene-videos/${idOf()}/${kind}`
      const picture = (body['file'] as Record<string, Record<string, unknown>>)[kind]!
      const bytes = expect.any(Number) as number
      expect(picture).toEqual({ ...told, type: 'image/jpeg', url, bytes })
      const headers = { authorization: `Bearer ${stack.apiKey}` }
      const answer = await fetch(stack.gatewayUrl + url, { headers })
      const jpeg = Buffer.from(await answer.arrayBuffer())
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/jpeg'])
      expect(answer.headers.get('content-disposition')).toMatch(new RegExp(`-${kind}\\.jpg"`))
      expect(jpeg.length).toBe(picture['bytes'])
      expect(sizeOfJpeg(jpeg)).toEqual({ width: told.width, height: told.height })
      const again = { ...headers, 'if-none-match': answer.headers.get('etag')! }
      expect((await fetch(stack.gatewayUrl + url, { headers: again })).status).toBe(304)
      const theirs = await stack.ask('GET', url, { key: await stack.stranger() })
      expect(theirs.status).toBe(404)
    })
  })
}

/** Told by the frame header, ITU T.81, B.2.2. */
function sizeOfJpeg(jpeg: Buffer): { width: number; height: number } {
  let at = 2
  while (jpeg[at + 1] !== 0xc0) at += 2 + jpeg.readUInt16BE(at + 2)
  return { height: jpeg.readUInt16BE(at + 5), width: jpeg.readUInt16BE(at + 7) }
}
