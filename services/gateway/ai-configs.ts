/**
 * Which provider account makes the videos: the project's configuration, else the user's, else the
 * system's; what the four operations on it share. Of the operator's account nobody is shown the
 * address or a part of the key.
 */
import { z } from 'zod'
import { isForbiddenHost } from '#libs/net/guard.ts'
import { joinCredentials } from '#libs/provider/credentials.ts'
import type { ProviderDescription } from '#libs/provider/registry.ts'
import type { AiConfig, AiConfigBody } from '#libs/scene-video/ai-config.ts'
import type { AiConfigRecord } from '#libs/store/ai-configs.ts'
import type { Context } from './context.ts'
import { notFound, Problem, unprocessable } from './problem.ts'
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

export function shown(
  { system, providers }: Pick<Context, 'system' | 'providers'>,
  record: AiConfigRecord | null,
): AiConfig {
  if (!record) {
    const { provider, model } = system
    return { provider, model, baseUrl: null, apiKeyLast4: null, source: 'system' }
  }
  const { provider, baseUrl, apiKeyLast4, source } = record
  const usual = providers.find((one) => one.name === provider)?.model ?? ''
  return { provider, model: record.model ?? usual, baseUrl, apiKeyLast4, source }
}

/** @throws Problem 422 for one that is not switched on */
export function requireProvider({ providers }: Context, name: string): ProviderDescription {
  const found = providers.find((one) => one.name === name)
  if (found) return found
  const names = providers.map((one) => one.name).join(', ')
  throw unprocessable('unknown_provider', '/provider', `use one of: ${names}`)
}

/**
 * What opens the account, as one text; undefined keeps the stored one, null removes it.
 * @throws Problem 422 where a part is missing
 */
export function credentialsOf(
  { name, credentials: parts }: ProviderDescription,
  { apiKey, credentials }: Pick<AiConfigBody, 'apiKey' | 'credentials'>,
): { text: string; last4: string } | null | undefined {
  const first = parts[0]!
  if (credentials === undefined && apiKey == null) return apiKey
  const given = credentials ?? { [first.name]: apiKey! }
  const text = joinCredentials(parts, given)
  const secret = parts.find((part) => !part.isPublic && given[part.name])
  if (text !== null && secret) return { text, last4: given[secret.name]!.slice(-4) }
  const wanted = parts.map((one) => `${one.name}${one.isOptional ? ' (optional)' : ''}`).join(', ')
  throw unprocessable(
    'bad_credentials',
    credentials === undefined ? '/apiKey' : '/credentials',
    `${name} is opened with: ${wanted}`,
  )
}

/**
 * Keys go to public addresses, and only encrypted on their way. The operator's own address is his
 * to choose. @throws Problem 422
 */
export function requirePublic(context: Context, baseUrl: string | null): void {
  if (baseUrl === null || context.allowPrivateBaseUrls) return
  if (context.providers.some((one) => one.baseUrl === baseUrl)) return
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
