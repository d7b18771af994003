import { z } from 'zod'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'
import { decodeCursor, ids, longPageQuery, pageFrom, pageOf } from '../schemas.ts'
import { noVideo } from './get-video.ts'

const at = z.iso.datetime()
export const submissionsSchema = pageOf(
  'Submissions',
  z.object({
    attempt: z.number().int(),
    send: z.number().int().describe('Counts from 1 within an attempt'),
    ownId: z.string().describe('Our id that the provider was given'),
    provider: z.string(),
    answer: z
      .enum(['accepted', 'unreadable', 'refused', 'later', 'absent', 'lost'])
      .nullable()
      .describe(
        'Null: none is known (yet). `unreadable`: probably accepted. `absent`: looked up for the whole window, and not there. `lost`: nobody can tell',
      ),
    detail: z.string().nullable().describe('The answer in words'),
    taskId: z.string().nullable(),
    outcome: z.string().nullable().describe('What its task became'),
    sentAt: at.describe('When the intent to send it was committed'),
    answeredAt: at.nullable(),
    lookedUpAt: at.nullable().describe('When the provider was last asked for it'),
    settledAt: at.nullable().describe('When what became of it was known for good'),
  }),
)

export const getSubmissions: Route = (app, { reader }) => {
  app.get(
    '/api/scene-videos/:id/submissions',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'getSubmissions',
        tags: ['videos'],
        summary: 'What was sent to the provider, answered, looked up and settled',
        params: ids('id'),
        querystring: z.strictObject(longPageQuery),
        response: { 200: submissionsSchema },
        'x-problems': [404],
      },
    },
    async ({ identity, params, query: { limit, after } }) => {
      const position = decodeCursor(after, z.string().regex(/^\d{1,9} \d{1,9}$/))
      const page = { limit: limit + 1, after: position }
      const found = await reader.submissions(identity.userId, params.id, page)
      if (!found) throw notFound(noVideo)
      return pageFrom(found, limit, ({ attempt, send }) => `${attempt} ${send}`)
    },
  )
}
