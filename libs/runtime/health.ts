/**
 * /livez, /readyz and /metrics on a service's own port. Live: the process answers. Ready: every
 * named check passes; 503 names those that do not.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Metrics } from './metrics.ts'

export type Checks = Record<string, () => boolean | Promise<boolean>>

export interface HealthServer extends AsyncDisposable {
  readonly port: number
}

/** The names of the checks that fail now; a check that throws or takes over 2 s has failed. */
export async function failingChecks(checks: Checks): Promise<string[]> {
  const timeout = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 2_000).unref())
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const passed = await Promise.race([
        Promise.resolve()
          .then(check)
          .catch(() => false),
        timeout,
      ])
      return passed ? null : name
    }),
  )
  return results.filter((name) => name !== null)
}

export async function startHealthServer(options: {
  port: number
  host: string
  checks: Checks
  metrics: Metrics
}): Promise<HealthServer> {
  const { checks, metrics } = options
  const server = createServer(async (request, response) => {
    const send = (status: number, type: string, body: string) =>
      response.writeHead(status, { 'content-type': type }).end(body)
    if (request.url === '/livez') return send(200, 'application/json', '{"status":"ok"}')
    if (request.url === '/metrics')
      return send(200, metrics.registry.contentType, await metrics.registry.metrics())
    if (request.url !== '/readyz') return send(404, 'application/json', '{"status":"not found"}')
    const failing = await failingChecks(checks)
    return send(
      failing.length ? 503 : 200,
      'application/json',
      JSON.stringify({ status: failing.length ? 'not ready' : 'ok', failing }),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
