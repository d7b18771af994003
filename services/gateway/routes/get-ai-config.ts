import { aiConfigSchema } from '#libs/scene-video/ai-config.ts'
import { projectOf, shown, whose } from '../ai-configs.ts'
import type { Route } from '../context.ts'

export const getAiConfig: Route = (app, context) => {
  for (const { name, path, params, problems } of whose)
    app.get(
      path,
      {
        config: { access: { scope: 'read' } },
        schema: {
          operationId: `get${name}AiConfig`,
          tags: ['configuration'],
          summary:
            name === 'Project'
              ? 'The effective configuration of a project'
              : 'The user’s configuration, else the system’s',
          params,
          response: { 200: aiConfigSchema },
          'x-problems': problems,
        },
      },
      async (request) => {
        const { userId } = request.identity
        const projectId = await projectOf(context, userId, request.params)
        return shown(context, await context.aiConfigs.effective(userId, projectId))
      },
    )
}
