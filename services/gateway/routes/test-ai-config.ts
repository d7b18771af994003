import { z } from 'zod'
import { aiConfigTestSchema } from '#libs/scene-video/ai-config.ts'
import { commandSubject } from '#libs/scene-video/messages.ts'
import { projectOf, whose } from '../ai-configs.ts'
import type { Route } from '../context.ts'
import { leaveTurn } from '../turns.ts'

export const testAiConfig: Route = (app, context) => {
  for (const { name, path, params, problems } of whose)
    app.post(
      `${path}/test`,
      {
        config: { access: { scope: 'configure' } },
        schema: {
          operationId: `test${name}AiConfig`,
          tags: ['configuration'],
          summary: 'Do address and key of the effective configuration work? Costs nothing',
          params,
          // what is to be tested is put first: a body that is not looked at would seem to work
          body: z.strictObject({}).nullish(),
          response: { 200: aiConfigTestSchema },
          'x-problems': problems,
        },
      },
      async (request) => {
        const { userId } = request.identity
        const projectId = await projectOf(context, userId, request.params)
        const asked = { userId, projectId }
        leaveTurn()
        return aiConfigTestSchema.parse(
          await context.bus.request(commandSubject.testConfig, asked, 15_000),
        )
      },
    )
}
