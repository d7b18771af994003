/** Takes a project, script or scene out of the lists, and back. Done twice, it is done. */
import type { Route } from '../context.ts'
import { kinds, placeOf } from '../library-kinds.ts'
import { notFound } from '../problem.ts'

export const archivePart: Route = (app, context) => {
  for (const { name, word, path, params, schema, read } of kinds)
    for (const verb of ['archive', 'restore'] as const)
      app.post(
        `${path}/${verb}`,
        {
          config: { access: { scope: 'write' } },
          schema: {
            operationId: `${verb}${name}`,
            tags: ['projects'],
            summary:
              verb === 'archive'
                ? `Take a ${word} out of the lists; it takes nothing new then`
                : `Take an archived ${word} into use again`,
            params,
            response: { 200: schema },
            'x-problems': [404],
          },
        },
        async (request, reply) => {
          const { userId } = request.identity
          const place = placeOf(request.params)
          const changed = await context.library.change(userId, place, {
            archived: verb === 'archive',
          })
          const found = changed && (await read(context, userId, place))
          if (!found) throw notFound(`There is no such ${word} there.`)
          return reply.send(found as never)
        },
      )
}
