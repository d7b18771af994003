/** One script, or one scene with its newest video. */
import type { Route } from '../context.ts'
import { kinds, placeOf } from '../library-kinds.ts'
import { notFound } from '../problem.ts'

export const getPart: Route = (app, context) => {
  for (const { name, word, path, params, schema, read } of kinds) {
    if (name === 'Project') continue // see get-project.ts
    app.get(
      path,
      {
        config: { access: { scope: 'read' } },
        schema: {
          operationId: `get${name}`,
          tags: ['projects'],
          summary: `One ${word}`,
          params,
          response: { 200: schema },
          'x-problems': [404],
        },
      },
      async (request, reply) => {
        const found = await read(context, request.identity.userId, placeOf(request.params))
        if (!found) throw notFound(`There is no such ${word} there.`)
        return reply.send(found as never)
      },
    )
  }
}
