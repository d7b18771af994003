/**
 * Which provider account makes the videos: the project's configuration, else the user's, else the
 * system's; what the four operations on it share. Of the operator's account nobody is shown the
 * address or a part of the key.
 */
import { z } from 'zod'
import { isForbiddenHost } from '#libs/net/guard.ts'
import type { AiConfig } from '#libs/scene-video/ai-config.ts'
import type { AiConfigRecord } from '#libs/store/ai-configs.ts'
import type { Context } from './context.ts'
import { notFound, Problem } from './problem.ts'
import { ids } from './schemas.ts'

/** Both paths that a configuration has. */
export const whose = [
  {
    name: 'Project',
    path: '/api/projects/:projectId/ai-config',
    params: ids('projectId'),
    problems: [404],
  },
  { name: 'User', path: '/api/me/ai-config', params: z.object({}), problems: [] },
] as const

/** Null for the user's own. @throws Problem 404 for a project that is not the user's */
export async function projectOf(
  { reader }: Context,
  userId: string,
  params: unknown,
): Promise<string | null> {
  const projectId = (params as { projectId?: string }).projectId ?? null
  if (projectId && !(await reader.ownsProject(userId, projectId)))
    throw notFound('There is no such project.')
  return projectId
}

export function shown({ system }: Context, record: AiConfigRecord | null): AiConfig {
  if (!record) {
    const { provider, model } = system
    return { provider, model, baseUrl: null, apiKeyLast4: null, source: 'system' }
  }
  const { provider, model, baseUrl, apiKeyLast4, source } = record
  return { provider, model: model ?? system.model, baseUrl, apiKeyLast4, source }
}

/**
 * Keys go to public addresses, and only encrypted on their way. The operator's own address is his
 * to choose. @throws Problem 422
 */
export function requirePublic(context: Context, baseUrl: string | null): void {
  if (baseUrl === null || baseUrl === context.system.baseUrl || context.allowPrivateBaseUrls) return
  const { hostname, protocol } = new URL(baseUrl)
  const fault = isForbiddenHost(hostname)
    ? 'This address is in a private network; give one that is public.'
    : protocol !== 'https:'
      ? 'A key is sent to this address: it must be https.'
      : null
  if (fault)
    throw new Problem(422, 'base_url_not_allowed', fault, {
      errors: [{ pointer: '/baseUrl', detail: 'must be a public https address' }],
    })
}
