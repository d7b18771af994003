/**
 * Gemini Omni by the Interactions API: an interaction in the background, kept there, with its film
 * at an address that needs the key. No look-up, no list. Not yet run against the real service.
 */
import type { Declaration } from '../declaration.ts'
import { at, firstText } from '../edge/fields.ts'
import { googleErrors, takesNoAddress } from './google.ts'
import { inline } from './inline.ts'

const path = '/interactions'
const film = 'steps[].content[type=video]'

/** Completed without a film: it answered in words, or its policy held the film back. */
function wordOf(answer: unknown): string | null {
  const status = firstText(answer, ['status'])
  return status?.toLowerCase() === 'completed' && at(answer, film).length === 0 ? 'failed' : status
}

export const gemini: Declaration = {
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
  model: 'gemini-omni-1.2-flash',
  models: [
    { name: 'gemini-omni-1.2-flash', most: 15 },
    { name: 'gemini-omni-1.1-flash', most: 10 },
  ].map(({ name, most }) => ({
    name,
    durations: Array.from({ length: most - 2 }, (_, i) => i + 3),
    aspectRatios: ['16:9', '9:16'],
    resolutions: ['360p', '720p', '1080p', '4k'],
    inputs: ['text', 'image'],
  })),
  linkNeedsKey: true,
  images: { links: false, dataBytes: 10 * 1024 * 1024 },
  dialect: {
    ...googleErrors,
    name: 'gemini',
    expectedMs: 10 * 60_000,
    // of the film it is not told; it is asked for no longer than this
    resultLifeMs: 24 * 3_600_000,
    authenticate: ({ apiKey }) => ({
      headers: { 'x-goog-api-key': apiKey },
      secrets: [apiKey],
    }),
    create: (input) => {
      const pictures = (input.imageUrls ?? []).map(inline)
      if (pictures.includes(null)) return takesNoAddress
      const images = pictures.flatMap((one) =>
        one ? [{ type: 'image', data: one.data, mime_type: one.type }] : [],
      )
      return {
        path,
        body: {
          model: input.model,
          input: images.length ? [{ type: 'text', text: input.prompt }, ...images] : input.prompt,
          background: true,
          // else it has no id, and cannot be asked for
          store: true,
          response_format: {
            type: 'video',
            aspect_ratio: input.aspectRatio,
            resolution: input.resolution,
            duration: input.durationSeconds === undefined ? undefined : `${input.durationSeconds}s`,
            delivery: 'uri',
          },
        },
      }
    },
    createdId: ['id'],
    get: (taskId) => ({ path: `${path}/${encodeURIComponent(taskId)}` }),
    cancel: {
      when: 'any',
      ask: (taskId) => ({ method: 'POST', path: `${path}/${encodeURIComponent(taskId)}/cancel` }),
    },
    task: {
      id: ['id'],
      status: ['status'],
      word: wordOf,
      links: [`${film}.uri`],
      reason: ['error', 'steps[].content[type=text].text'],
    },
    progressIn: 'percent',
    words: {
      queued: 'queued',
      in_progress: 'running',
      completed: 'done',
      failed: 'failed',
      cancelled: 'cancelled',
      incomplete: 'failed',
      budget_exceeded: 'failed',
    },
  },
}
