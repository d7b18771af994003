import { z } from 'zod'
import { projectOf, whose } from '../ai-configs.ts'
import type { Route } from '../context.ts'

export const deleteAiConfig: Route = (app, context) => {
  for (const { name, path, params, problems } of whose)
    app.delete(
      path,
      {
        config: { access: { scope: 'configure' } },
        schema: {
          operationId: `delete${name}AiConfig`,
          tags: ['configuration'],
          summary: `Back to the ${name === 'Project' ? 'user’s or the ' : ''}system’s configuration`,
          params,
          response: { 204: z.null().describe('Removed, or there was none') },
          'x-problems': problems,
        },
      },
      async (request, reply) => {
        const { userId } = request.identity
        const projectId = await projectOf(context, userId, request.params)
        await context.aiConfigs.remove(userId, projectId)
        return reply.code(204).send(null)
      },
    )
}
