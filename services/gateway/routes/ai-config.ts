/**
 * Which provider account makes the videos: the project's configuration, else the user's, else the
 * system's. Provider keys are encrypted before they are stored and never answered. Addresses in
 * private networks are refused here, and again at every connection.
 */
import { z } from 'zod'
import { encrypt } from '#libs/runtime/secrets.ts'
import {
  aiConfigBodySchema,
  aiConfigSchema,
  aiConfigTestSchema,
  type AiConfig,
} from '#libs/scene-video/ai-config.ts'
import { commandSubject } from '#libs/scene-video/messages.ts'
import { isForbiddenHost } from '#libs/net/guard.ts'
import type { AiConfigRecord } from '#libs/store/ai-configs.ts'
import type { App, Context } from '../context.ts'
import { notFound, Problem } from '../problem.ts'
import { ids } from './shared.ts'

export function aiConfigRoutes(app: App, context: Context): void {
  const { aiConfigs, bus, keys, reader, system } = context

  const shown = (record: AiConfigRecord | null): AiConfig => {
    if (!record) return { ...system, source: 'system' }
    const { provider, model, baseUrl, apiKeyLast4, source } = record
    return {
      provider,
      model: model ?? system.model,
      baseUrl: baseUrl ?? system.baseUrl,
      apiKeyLast4: apiKeyLast4 ?? system.apiKeyLast4,
      source,
    }
  }
  const requireProject = async (userId: string, projectId: string | null) => {
    if (projectId && !(await reader.project(userId, projectId)))
      throw notFound('There is no such project.')
  }
  const requirePublic = (baseUrl: string | null) => {
    if (
      baseUrl === null ||
      baseUrl === system.baseUrl ||
      context.allowPrivateBaseUrls ||
      !isForbiddenHost(new URL(baseUrl).hostname)
    )
      return
    throw new Problem(
      422,
      'base_url_not_allowed',
      'This address is in a private network; give one that is public.',
      { errors: [{ pointer: '/baseUrl', detail: 'must be a public address' }] },
    )
  }

  for (const path of ['/api/projects/:projectId/ai-config', '/api/me/ai-config'] as const) {
    const isProject = path.includes(':projectId')
    const whose = isProject ? 'Project' : 'User'
    const params = isProject ? ids('projectId') : z.object({})
    const projectOf = (request: { params: unknown }) =>
      (request.params as { projectId?: string }).projectId ?? null
    const common = { tags: ['configuration'], params }
    const missing = isProject ? [404] : []

    app.get(
      path,
      {
        config: { access: { scope: 'read' } },
        schema: {
          ...common,
          operationId: `get${whose}AiConfig`,
          summary: isProject
            ? 'The effective configuration of a project'
            : 'The user’s configuration, else the system’s',
          response: { 200: aiConfigSchema },
          'x-problems': missing,
        },
      },
      async (request) => {
        const { userId } = request.identity
        await requireProject(userId, projectOf(request))
        return shown(await aiConfigs.effective(userId, projectOf(request)))
      },
    )

    app.put(
      path,
      {
        config: { access: { scope: 'write' } },
        schema: {
          ...common,
          operationId: `put${whose}AiConfig`,
          summary: `Replace the ${whose.toLowerCase()}’s configuration`,
          body: aiConfigBodySchema,
          response: { 200: aiConfigSchema },
          'x-problems': [...missing, 422],
        },
      },
      async (request) => {
        const { userId } = request.identity
        const { provider, model = null, baseUrl = null, apiKey } = request.body
        await requireProject(userId, projectOf(request))
        requirePublic(baseUrl)
        const stored =
          apiKey == null ? apiKey : { cipher: encrypt(apiKey, keys), last4: apiKey.slice(-4) }
        return shown(
          await aiConfigs.put(userId, projectOf(request), {
            provider,
            model,
            baseUrl,
            apiKey: stored,
          }),
        )
      },
    )

    app.delete(
      path,
      {
        config: { access: { scope: 'write' } },
        schema: {
          ...common,
          operationId: `delete${whose}AiConfig`,
          summary: `Back to the ${isProject ? 'user’s or the ' : ''}system’s configuration`,
          response: { 204: z.null().describe('Removed, or there was none') },
          'x-problems': missing,
        },
      },
      async (request, reply) => {
        const { userId } = request.identity
        await requireProject(userId, projectOf(request))
        await aiConfigs.remove(userId, projectOf(request))
        return reply.code(204).send(null)
      },
    )

    app.post(
      `${path}/test`,
      {
        config: { access: { scope: 'write' } },
        schema: {
          ...common,
          operationId: `test${whose}AiConfig`,
          summary: 'Do address and key of the effective configuration work? Costs nothing',
          response: { 200: aiConfigTestSchema },
          'x-problems': missing,
        },
      },
      async (request) => {
        const { userId } = request.identity
        await requireProject(userId, projectOf(request))
        return aiConfigTestSchema.parse(
          await bus.request(
            commandSubject.testConfig,
            { userId, projectId: projectOf(request) },
            15_000,
          ),
        )
      },
    )
  }
}
