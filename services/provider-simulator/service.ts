/**
 * Providers one can run, slow down, break and audit: each in its own dialect beneath `/<name>`,
 * toapis at the root as well. It is the outside world: its tasks, charges and settings survive its
 * restart.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'
import { sleep, unixMs } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import type { SimulatorConfig } from './config.ts'
import { Trouble, type Incoming, type Said, type SimulatedProvider } from './dialect.ts'
import { dialects } from './dialects/index.ts'
import { dribble, readText, send, sendFile } from './http.ts'
import { Ledger, type Task } from './ledger.ts'
import { Limits } from './limits.ts'
import { Polls } from './polls.ts'
import { merge, patchSchema } from './settings.ts'
import { startWebhooks } from './webhooks.ts'
import { LiveWorld, viewOf, type Circumstances } from './world.ts'

const wildcards = new Set(['0.0.0.0', '::'])

/** Whose a path is: the prefix of a provider, or `/v1` for the one at the root. */
function providerOf(path: string): { dialect: SimulatedProvider; prefix: string } | null {
  const name = path === '/v1' || path.startsWith('/v1/') ? 'v1' : (path.split('/')[1] ?? '')
  const dialect = dialects.get(name === 'v1' ? 'toapis' : name)
  return dialect ? { dialect, prefix: `/${name}` } : null
}

export async function startSimulator(config: SimulatorConfig): Promise<Service & { url: string }> {
  const log = createLogger('simulator', config.LOG_LEVEL)
  const at: Circumstances = {
    ledger: new Ledger(config.SIMULATOR_DATA),
    limits: new Limits(),
    polls: new Polls(),
    now: unixMs,
    url: '',
  }
  const webhooks = startWebhooks(at.ledger, at.now, () => at.url)

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://simulator')
    const provider = providerOf(url.pathname)
    const { host } = request.headers
    // where it listens on all addresses, its links name the one that a provider was last asked at
    if (provider && host && wildcards.has(config.SIMULATOR_HOST)) at.url = `http://${host}`
    const handled = provider
      ? asProvider(at, provider, url, request, response)
      : asAuditor(at, url.pathname, request, response)
    handled.catch((err: unknown) => {
      if (err instanceof z.ZodError || err instanceof SyntaxError)
        return send(response, 400, { error: { code: 'invalid_request', message: err.message } })
      log.error({ err }, 'request failed')
      return response.destroy()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.SIMULATOR_PORT, config.SIMULATOR_HOST, resolve)
  })
  at.url = `http://${config.SIMULATOR_HOST}:${(server.address() as AddressInfo).port}`
  log.info({ url: at.url, tasks: at.ledger.all().length }, 'simulator started')
  const service = createService('simulator', async () => {
    await webhooks.stop()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    at.ledger.close()
  })
  return Object.assign(service, { url: at.url })
}

async function asProvider(
  at: Circumstances,
  { dialect, prefix }: { dialect: SimulatedProvider; prefix: string },
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const incoming: Incoming = {
    method: request.method ?? 'GET',
    path: url.pathname.slice(prefix.length),
    query: url.searchParams,
    headers: request.headers,
    raw: await readText(request),
    baseUrl: at.url + prefix,
  }
  const login = dialect.login?.(incoming)
  if (login) return send(response, login.status, login.body)
  const account = dialect.account(incoming)
  const world = new LiveWorld(at, { provider: dialect.name, account: account ?? '' })
  const said = await answerOf(dialect, incoming, world, account !== null)
  const headers = { ...(dialect.tellsBudget ? world.headers : {}), ...said.headers }
  if (world.hasCreated) await sleep(at.ledger.settings.createdDelayMs)
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (said.isFile) return sendFile(request, response)
  const body = typeof said.body === 'string' ? said.body : JSON.stringify(said.body)
  switch (world.fate) {
    case 'timeout':
      return void setTimeout(() => response.destroy(), 120_000).unref()
    case 'reset':
      return void response.socket?.destroy()
    case 'cut':
      return send(response, said.status, body.slice(0, Math.floor(body.length / 2)))
    case 'slow':
      return dribble(response, said.status, body)
    case 'nulls':
      return send(response, said.status, body.replaceAll(/_(?=[a-z])/g, '\\u0000'))
    case null:
      return send(response, said.status, body)
  }
}

async function answerOf(
  dialect: SimulatedProvider,
  incoming: Incoming,
  world: LiveWorld,
  isKnown: boolean,
): Promise<Said> {
  try {
    if (!isKnown || world.isHit('status401'))
      throw new Trouble('bad_key', 'The API key is not valid.')
    return await dialect.handle(incoming, world)
  } catch (err) {
    if (!(err instanceof Trouble)) throw err
    const said = dialect.trouble(err.kind, err.message, err.retryAfter)
    return err.retryAfter === undefined
      ? said
      : { ...said, headers: { ...said.headers, 'Retry-After': err.retryAfter } }
  }
}

async function asAuditor(
  at: Circumstances,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { ledger } = at
  if (path === '/livez' || path === '/readyz') return send(response, 200, { status: 'ok' })
  if (path === '/ledger')
    return send(response, 200, { tasks: ledger.all().map((task) => ledgerRow(task, at)) })
  if (path === '/polls')
    return send(response, 200, {
      now: at.now(),
      polls: at.polls.all(),
      seconds: at.polls.seconds(),
    })
  if (path === '/settings' && request.method === 'GET') return send(response, 200, ledger.settings)
  if (path === '/settings' && request.method === 'PUT') {
    const patch = patchSchema.parse(JSON.parse(await readText(request)))
    ledger.saveSettings(merge(ledger.settings, patch))
    return send(response, 200, ledger.settings)
  }
  const task = ledger.byId(/^\/files\/([\w-]+)\.mp4$/.exec(path)?.[1] ?? '')
  if (path.startsWith('/files/') && task) {
    if (at.now() < viewOf(task, at).expiresAt) return sendFile(request, response)
    const error = { code: 'expired', message: 'This link has expired.' }
    return send(response, 410, { error })
  }
  const error = { code: 'not_found', message: 'There is no such route.' }
  return send(response, 404, { error })
}

function ledgerRow(task: Task, at: Circumstances) {
  const { status, endedAt } = viewOf(task, at)
  const isLost = status === 'failed' || status === 'blocked' || status === 'expired'
  return {
    provider: task.provider,
    client_business_id: task.ownId,
    task_id: task.taskId,
    prompt: task.prompt.slice(0, 100),
    status: isLost
      ? 'failed'
      : status === 'running' || status === 'strange'
        ? 'in_progress'
        : status,
    created_at: new Date(task.createdAt).toISOString(),
    finished_at: endedAt === null ? null : new Date(endedAt).toISOString(),
    refunded: isLost || status === 'cancelled',
  }
}
