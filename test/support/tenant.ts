/** A user with a project of its own, who asks the gateways in turn, as a load balancer would. */
import type { Demo } from '#services/dev/seed.ts'

export interface Answer {
  /** 0: nobody answered. */
  status: number
  body: Record<string, unknown>
}

export interface Tenant {
  readonly name: string
  readonly demo: Demo
  api(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>
}

/** Asks those gateways with that key. */
export function asker(gateways: string[], apiKey: string): Tenant['api'] {
  let turn = 0
  return async (method, path, body, headers = {}) => {
    const url = gateways[turn++ % gateways.length]!
    try {
      const response = await fetch(url + path, {
        method,
        signal: AbortSignal.timeout(15_000),
        headers: {
          authorization: `Bearer ${apiKey}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: (await response.json()) as Answer['body'] }
    } catch {
      return { status: 0, body: {} }
    }
  }
}

/**
 * Another user, made by the operator's command, whose videos go to a provider account at `baseUrl`.
 */
export async function makeTenant(
  { gateways, operate }: { gateways: string[]; operate(...args: string[]): Promise<string> },
  name: string,
  baseUrl: string,
): Promise<Tenant> {
  const userId = lastWord(await operate('users', 'create', name))
  const api = asker(
    gateways,
    lastWord(await operate('keys', 'create', '--user', userId, '--scopes', 'read,write,configure')),
  )
  const make = async (path: string, body: object) => {
    const answer = await api('POST', path, body)
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer)}`)
    return String(answer.body['id'])
  }
  const projectId = await make('/api/projects', { title: name })
  const scriptId = await make(`/api/projects/${projectId}/scripts`, { title: name })
  const scene = `/api/projects/${projectId}/scripts/${scriptId}/scenes`
  const sceneIds = [
    await make(scene, { prompt: 'a kite' }),
    await make(scene, { prompt: 'a boat' }),
  ]
  const config = { provider: 'toapis', baseUrl, apiKey: `sk-of-${name}-0123456789` }
  const { status, body } = await api('PUT', '/api/me/ai-config', config)
  if (status !== 200) throw new Error(`ai-config: ${status} ${JSON.stringify(body)}`)
  return { name, demo: { userId, projectId, scriptId, sceneIds }, api }
}

const lastWord = (output: string) => output.trim().split(/\s/).at(-1)!
