/** A new title of a project, script or scene, or a new prompt of a scene. */
import { z } from 'zod'
import type { Route } from '../context.ts'
import { fileLimits, kinds, placeOf } from '../library-kinds.ts'
import { notFound } from '../problem.ts'
import { prompt, title } from '../schemas.ts'

const words = z.strictObject({ title })
const ofScene = z.strictObject({ title: title.nullable().optional(), prompt: prompt.optional() })
const ofProject = z
  .strictObject({
    title: title.optional(),
    fileDays: fileLimits.fileDays.optional(),
    fileBytes: fileLimits.fileBytes.optional(),
  })
  .refine((changes) => Object.keys(changes).length > 0, 'must change something')
const bodies = { Project: ofProject, Script: words, Scene: ofScene }

export const updatePart: Route = (app, context) => {
  for (const { name, word, path, params, schema, read } of kinds) {
    app.patch(
      path,
      {
        config: { access: { scope: 'write' } },
        schema: {
          operationId: `update${name}`,
          tags: ['projects'],
          summary: `Change a ${word}`,
          description:
            'What is left out stays as it is. Videos keep the prompt they were made with.',
          params,
          body: bodies[name],
          response: { 200: schema },
          'x-problems': [404],
        },
      },
      async (request, reply) => {
        const { userId } = request.identity
        const place = placeOf(request.params)
        const changes = request.body as z.output<typeof ofScene> & z.output<typeof ofProject>
        const { title: newTitle, prompt: newPrompt, fileDays, fileBytes } = changes
        const changed = await context.library.change(userId, place, {
          ...(newTitle === undefined ? {} : { title: newTitle }),
          ...(newPrompt === undefined ? {} : { prompt: newPrompt }),
          ...(fileDays === undefined ? {} : { fileDays }),
          ...(fileBytes === undefined ? {} : { fileBytes }),
        })
        const found = changed && (await read(context, userId, place))
        if (!found) throw notFound(`There is no such ${word} there.`)
        return reply.send(found as never)
      },
    )
  }
}
