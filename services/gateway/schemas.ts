/** Pieces of schemas that several routes have. */
import { z } from 'zod'
import {
  imagesSchema,
  phases,
  sceneVideoSchema,
  statuses,
  storable,
} from '#libs/scene-video/scene-video.ts'
import { invalid } from './problem.ts'

export const id = z.uuid().toLowerCase()

export const ids = <K extends string>(...names: K[]) =>
  z.object(Object.fromEntries(names.map((name) => [name, id])) as Record<K, typeof id>)

export const title = storable.trim().min(1).max(500).meta({ example: 'Pilot' })
export const prompt = storable
  .trim()
  .min(1)
  .max(10_000)
  .meta({ example: 'A paper boat drifts down a rain-filled street at dusk' })
export const instant = z.iso.datetime().meta({ example: '2026-01-31T09:30:00.000Z' })

/** `images` is `imageUrls` by another name. */
export const imagesAlias = {
  images: imagesSchema.optional().describe('As imageUrls; given instead of it'),
}
/** The body as submit takes it. @throws Problem 400 where both are given */
export function withImageUrls<B extends { imageUrls?: string[] | undefined }>(
  body: B & { images?: string[] | undefined },
): Omit<B, 'images'> {
  const { images, ...rest } = body
  if (images === undefined) return rest
  if (rest.imageUrls !== undefined) throw invalid('/images', 'give images or imageUrls, not both')
  return { ...rest, imageUrls: images }
}

/** Where in the body the images were given. */
export const imagesAt = (body: { images?: unknown } | null | undefined): string =>
  body?.images === undefined ? '/imageUrls' : '/images'

/** Read in idempotency.ts, which also takes it quoted. */
export const idempotencyHeader = z.object({
  'idempotency-key': z
    .string()
    .optional()
    .describe('Quoted or bare, 1 to 255 characters, per user and route, kept 24 h'),
})
/** Read in prefer-wait.ts. */
export const preferHeader = z.object({
  prefer: z
    .string()
    .max(200)
    .optional()
    .describe('`wait=N`: answer when the video has ended, or after N seconds, 60 at most'),
})

export const tokenQuery = z.strictObject({
  token: z
    .string()
    .max(4_096)
    .optional()
    .describe('A stream token, where no header can be sent. API keys are refused here'),
})

/** A query parameter that may be repeated. */
export const repeated = <T extends z.ZodType>(one: T) =>
  z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(one).min(1).max(20).optional(),
  )

/** As digits; JavaScript takes more for a number, such as `1e1` and blanks. */
const wholeNumber = ({ least, most, usual }: Record<'least' | 'most' | 'usual', number>) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value),
    z
      .number({ error: 'must be a whole number, written in digits' })
      .int()
      .min(least)
      .max(most)
      .default(usual),
  )

export const pageQuery = {
  limit: wholeNumber({ least: 1, most: 100, usual: 20 }).describe('Most entries of a page'),
  after: z.string().max(200).optional().describe('`next` of the page before'),
}
/** Of what one video may have thousands of; all of it where it has no more than is usual. */
export const longPageQuery = {
  limit: wholeNumber({ least: 1, most: 500, usual: 500 }).describe('Most entries of a page'),
  after: pageQuery.after,
}
export const archivedQuery = {
  ...pageQuery,
  archived: z
    .enum(['true', 'false'])
    .default('false')
    .describe('`true`: those that are archived, and only those'),
}

export const pageOf = <T extends z.ZodType>(name: string, one: T) =>
  z
    .object({
      data: z.array(one),
      hasMore: z.boolean().describe('Whether there may be a further page'),
      next: z.string().nullable().describe('Goes into `after` of the next page'),
    })
    .meta({ id: name })

const encodeCursor = (last: string) => Buffer.from(last).toString('base64url')

/** @throws Problem 400 when it is none of ours */
export function decodeCursor(
  cursor: string | undefined,
  position: z.ZodType<string> = z.uuid(),
): string | undefined {
  if (cursor === undefined) return undefined
  const last = position.safeParse(Buffer.from(cursor, 'base64url').toString())
  if (last.success) return last.data
  throw invalid('/after', 'this cursor is not one of ours; use `next` of an earlier page')
}

/** A page out of one entry more than it may have. */
export function pageFrom<T>(found: T[], limit: number, idOf: (one: T) => string) {
  const data = found.slice(0, limit)
  const hasMore = found.length > limit
  return { data, hasMore, next: hasMore ? encodeCursor(idOf(data.at(-1)!)) : null }
}
export const pageUntil = <T>(data: T[], next: string | null) => ({
  data,
  hasMore: next !== null,
  next: next === null ? null : encodeCursor(next),
})

export const videoPage = pageOf('SceneVideoPage', sceneVideoSchema)

/** What lists of videos may be narrowed by, as a query. `metadata.<key>` is read apart. */
export const videoFilterQuery = {
  status: repeated(z.enum(statuses)).describe('May be repeated'),
  phase: repeated(z.enum(phases)).describe('May be repeated'),
  errorCode: repeated(storable.min(1).max(64)).describe('May be repeated'),
  provider: repeated(storable.min(1).max(64)).describe('May be repeated'),
  model: repeated(storable.min(1).max(128)).describe('May be repeated'),
  projectId: id.optional(),
  scriptId: id.optional(),
  sceneId: id.optional(),
  createdFrom: instant.optional().describe('Created then or later'),
  createdTo: instant.optional().describe('Created before then'),
  q: storable
    .trim()
    .min(1)
    .max(200)
    .optional()
    .describe('Part of the prompt, a task’s id, or the beginning of a video’s id'),
}
/** For `refine`: false for times of creation that nothing can have. */
export const isRange = ({ createdFrom, createdTo }: Record<string, unknown>): boolean =>
  typeof createdFrom !== 'string' ||
  typeof createdTo !== 'string' ||
  Date.parse(createdFrom) < Date.parse(createdTo)
export const notARange = { message: 'must be before createdTo', path: ['createdFrom'] }

const metadataPrefix = 'metadata.'

const isMetadata = (key: string) =>
  key.startsWith(metadataPrefix) && key !== metadataPrefix && storable.safeParse(key).success

/** Strict but for `metadata.<key>`, which comes out as `metadata`. */
export const withMetadata = <S extends z.ZodRawShape>(shape: S) =>
  z
    .object(shape)
    .catchall(storable.max(4_096))
    .meta({ additionalProperties: false })
    .superRefine((query, context) => {
      for (const key of Object.keys(query))
        if (!Object.hasOwn(shape, key) && !isMetadata(key))
          context.addIssue({ code: 'unrecognized_keys', keys: [key], input: query })
    })
    .refine(isRange, notARange)

/** What was given as `metadata.<key>`; undefined where nothing was. */
export function metadataOf(query: Record<string, unknown>): Record<string, string> | undefined {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] =>
      entry[0].startsWith(metadataPrefix) && typeof entry[1] === 'string',
  )
  return given.length
    ? Object.fromEntries(given.map(([key, value]) => [key.slice(metadataPrefix.length), value]))
    : undefined
}

/** Which attempt a cancel or retry means. */
export const attemptBody = z
  .strictObject({
    attempt: z
      .number()
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .optional()
      .describe('The attempt that is meant; 409 where it is not the current one'),
  })
  .nullish()
