/** A new title of a project, script or scene, or a new prompt of a scene. */
import { z } from 'zod'
import type { Route } from '../context.ts'
import { kinds, placeOf } from '../library-kinds.ts'
import { notFound } from '../problem.ts'
import { prompt, title } from '../schemas.ts'

const words = z.strictObject({ title })
const ofScene = z.strictObject({ title: title.nullable().optional(), prompt: prompt.optional() })

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
          body: name === 'Scene' ? ofScene : words,
          response: { 200: schema },
          'x-problems': [404],
        },
      },
      async (request, reply) => {
        const { userId } = request.identity
        const place = placeOf(request.params)
        const { title: newTitle, prompt: newPrompt } = request.body as z.output<typeof ofScene>
        const changed = await context.library.change(userId, place, {
          ...(newTitle === undefined ? {} : { title: newTitle }),
          ...(newPrompt === undefined ? {} : { prompt: newPrompt }),
        })
        const found = changed && (await read(context, userId, place))
        if (!found) throw notFound(`There is no such ${word} there.`)
        return reply.send(found as never)
      },
    )
  }
}
