/**
 * A user's or a project's own account. The key is sealed before it is stored, so that only
 * submit and pollers open it, stays with the address it was given for, and is never answered.
 */
import { seal } from '#libs/runtime/secrets.ts'
import { aiConfigBodySchema, aiConfigSchema } from '#libs/scene-video/ai-config.ts'
import {
  credentialsOf,
  projectOf,
  requireProvider,
  requirePublic,
  shown,
  whose,
} from '../ai-configs.ts'
import type { Route } from '../context.ts'

export const putAiConfig: Route = (app, context) => {
  for (const { name, path, params, problems } of whose)
    app.put(
      path,
      {
        config: { access: { scope: 'configure' } },
        schema: {
          operationId: `put${name}AiConfig`,
          tags: ['configuration'],
          summary: `Replace the ${name.toLowerCase()}’s configuration`,
          params,
          body: aiConfigBodySchema,
          response: { 200: aiConfigSchema },
          'x-problems': [...problems, 422],
        },
      },
      async (request) => {
        const { userId } = request.identity
        const { provider, model = null, baseUrl = null } = request.body
        const given = credentialsOf(requireProvider(context, provider), request.body)
        const projectId = await projectOf(context, userId, request.params)
        requirePublic(context, baseUrl)
        const apiKey = given && {
          cipher: seal(given.text, context.sealingKey),
          last4: given.last4,
        }
        const config = { provider, model, baseUrl, apiKey }
        return shown(context, await context.aiConfigs.put(userId, projectId, config))
      },
    )
}
