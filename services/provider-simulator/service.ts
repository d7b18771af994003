/**
 * A provider one can run, slow down, break and audit. It speaks toapis' wire format as publicly
 * documented, and shares no code with the adapter. It is the outside world: its tasks, charges and
 * settings survive its restart.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'
import { sleep, unixMs } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { clip } from './clip.ts'
import type { SimulatorConfig } from './config.ts'
import { Ledger, type Task } from './ledger.ts'
import { Limits, type Category } from './limits.ts'
import { Polls } from './polls.ts'
import { merge, patchSchema, type Fault } from './settings.ts'
import { startWebhooks } from './webhooks.ts'

const createSchema = z.object({
  model: z.string().min(1),
  prompt: z.string().min(1),
  client_business_id: z.string().max(200).optional(),
})
const base = '/v1/videos/generations'

export async function startSimulator(config: SimulatorConfig): Promise<Service & { url: string }> {
  const log = createLogger('simulator', config.LOG_LEVEL)
  const now = unixMs
  const ledger = new Ledger(config.SIMULATOR_DATA)
  const limits = new Limits()
  const polls = new Polls()
  let url = ''
  const isHit = (fault: Fault) => Math.random() < ledger.settings.faults[fault]

  const expiresAt = (task: Task) => task.endsAt + ledger.settings.resultLifeSeconds * 1000
  const askToWait = (response: ServerResponse, status: 429 | 503) => {
    const { retryAfterSeconds: seconds, retryAfterAsDate } = ledger.settings
    const headers =
      seconds === null
        ? {}
        : {
            'Retry-After': retryAfterAsDate
              ? new Date(now() + seconds * 1000).toUTCString()
              : String(seconds),
          }
    if (status === 503)
      return sendError(response, 503, 'rate_limit_unavailable', 'Try again later.', headers)
    return sendError(
      response,
      429,
      isHit('nullByte') ? 'rate_limit\u0000exceeded' : 'rate_limit_exceeded',
      'Too many requests.',
      headers,
    )
  }

  const present = (task: Task): Record<string, unknown> => {
    const at = now()
    const common = {
      id: task.taskId,
      object: 'generation.task',
      model: task.model,
      created_at: Math.floor(task.createdAt / 1000),
    }
    if (at < task.endsAt) {
      const share = Math.max(0, (at - task.startsAt) / Math.max(1, task.endsAt - task.startsAt))
      const { progressStep } = ledger.settings
      const progress = Math.floor((share * 99) / progressStep) * progressStep
      if (task.strange || isHit('unknownStatus'))
        return { ...common, status: 'reticulating', progress }
      return { ...common, status: at < task.startsAt ? 'queued' : 'in_progress', progress }
    }
    const ended = { ...common, completed_at: Math.floor(task.endsAt / 1000) }
    if (task.outcome === 'failed')
      return {
        ...ended,
        status: 'failed',
        progress: 0,
        error: {
          code: 'generation_failed',
          message: `The model could not generate this video.${isHit('nullByte') ? '\u0000' : ''}`,
        },
      }
    return {
      ...ended,
      status: 'completed',
      progress: 100,
      expires_at: Math.floor(expiresAt(task) / 1000),
      result: { type: 'video', data: [{ url: `${url}/files/${task.taskId}.mp4`, format: 'mp4' }] },
    }
  }
  const webhooks = startWebhooks(ledger, now, present)

  const newTask = (account: string, body: z.infer<typeof createSchema>): Task => {
    const { minSeconds, maxSeconds, failRate } = ledger.settings
    const slow = body.prompt.includes('[slow]') ? 10 : 1
    const lasts = (minSeconds + Math.random() * Math.max(0, maxSeconds - minSeconds)) * 1000 * slow
    const createdAt = now()
    return {
      taskId: `video_${randomBytes(12).toString('hex')}`,
      ownId: body.client_business_id ?? null,
      account,
      model: body.model,
      createdAt,
      startsAt: createdAt + Math.floor(lasts * 0.1),
      endsAt: createdAt + Math.floor(lasts),
      outcome: body.prompt.includes('[fail]') || Math.random() < failRate ? 'failed' : 'completed',
      strange: body.prompt.includes('[unknown]') ? 1 : 0,
      webhookAttempts: 0,
    }
  }

  const create = async (account: string, body: unknown, response: ServerResponse) => {
    if (isHit('status503')) return askToWait(response, 503)
    if (isHit('status429')) return askToWait(response, 429)
    const parsed = createSchema.safeParse(body)
    if (!parsed.success)
      return sendError(response, 400, 'invalid_request', z.prettifyError(parsed.error))
    if (parsed.data.prompt.includes('[policy]') || Math.random() < ledger.settings.policyRate)
      return sendError(
        response,
        422,
        'content_policy_violation',
        'The prompt violates the content policy.',
      )
    if (isHit('status500') && Math.random() < 0.5)
      return sendError(response, 500, 'internal_error', 'Something went wrong.')
    const task = newTask(account, parsed.data)
    ledger.add(task)
    if (ledger.settings.createdDelayMs) await sleep(ledger.settings.createdDelayMs)
    if (isHit('status500'))
      return sendError(response, 500, 'internal_error', 'Something went wrong.')
    if (isHit('acceptThenTimeout'))
      return void setTimeout(() => response.destroy(), 120_000).unref()
    if (isHit('acceptThenReset')) return void response.socket?.destroy()
    if (isHit('malformed'))
      return void response.writeHead(200, { 'content-type': 'application/json' }).end('{"id": "vid')
    if (task.model.startsWith('seedance'))
      return send(response, 200, {
        code: 200,
        data: [{ status: 'submitted', task_id: task.taskId }],
      })
    return send(response, 200, { ...present(task), metadata: {} })
  }

  const isMissing = (task: Task) =>
    now() >= task.endsAt && now() < task.endsAt + ledger.settings.finishedMissingMs

  const query = (account: string, id: string, response: ServerResponse) => {
    polls.note(id, now())
    if (isHit('status500'))
      return sendError(response, 500, 'internal_error', 'Something went wrong.')
    if (isHit('status503')) return askToWait(response, 503)
    if (isHit('status429')) return askToWait(response, 429)
    if (isHit('malformed'))
      return void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"status": "in_pro')
    const task = ledger.find(account, id, now())
    if (!task || isHit('vanish') || isMissing(task))
      return sendError(response, 404, 'task_not_found', 'There is no such task.')
    if (isHit('slowBody')) return dribble(response, JSON.stringify(present(task)))
    return send(response, 200, present(task))
  }

  const provider = async (request: IncomingMessage, response: ServerResponse, path: string) => {
    const account = /^Bearer (sk-\S+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (!account || isHit('status401'))
      return sendError(response, 401, 'invalid_api_key', 'The API key is not valid.')
    const category: Category = request.method === 'POST' && path === base ? 'submit' : 'query'
    const { headers, waitSeconds } = limits.take(account, category, ledger.settings.tier, now())
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    if (waitSeconds > 0)
      return sendError(response, 429, 'rate_limit_exceeded', 'Too many requests.')
    if (category === 'submit') return create(account, await readJson(request), response)
    if (request.method === 'POST' && path === `${base}/batch`) {
      const { ids } = z.object({ ids: z.array(z.string()).max(100) }).parse(await readJson(request))
      for (const id of ids) polls.note(id, now())
      return send(response, 200, {
        data: ids
          .map((id) => ledger.find(account, id, now()))
          .filter((task) => task !== undefined)
          .map(present),
      })
    }
    if (request.method === 'GET' && path.startsWith(`${base}/`))
      return query(account, decodeURIComponent(path.slice(base.length + 1)), response)
    return sendError(response, 404, 'not_found', 'There is no such route.')
  }

  const audit = async (request: IncomingMessage, response: ServerResponse, path: string) => {
    if (path === '/livez' || path === '/readyz') return send(response, 200, { status: 'ok' })
    if (path === '/ledger')
      return send(response, 200, { tasks: ledger.all().map((task) => ledgerRow(task, now())) })
    if (path === '/polls') return send(response, 200, { now: now(), polls: polls.all() })
    if (path === '/settings' && request.method === 'GET')
      return send(response, 200, ledger.settings)
    if (path === '/settings' && request.method === 'PUT') {
      ledger.saveSettings(merge(ledger.settings, patchSchema.parse(await readJson(request))))
      return send(response, 200, ledger.settings)
    }
    const taskId = /^\/files\/(\w+)\.mp4$/.exec(path)?.[1]
    if (taskId) {
      const task = ledger.byId(taskId)
      if (task && now() >= expiresAt(task))
        return sendError(response, 410, 'expired', 'This link has expired.')
      return sendFile(request, response)
    }
    return sendError(response, 404, 'not_found', 'There is no such route.')
  }

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://simulator').pathname
    const handle = path.startsWith('/v1/') ? provider : audit
    handle(request, response, path).catch((err: unknown) => {
      if (err instanceof z.ZodError)
        return sendError(response, 400, 'invalid_request', z.prettifyError(err))
      if (err instanceof SyntaxError)
        return sendError(response, 400, 'invalid_request', 'The body is not JSON.')
      log.error({ err }, 'request failed')
      return response.destroy()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.SIMULATOR_PORT, config.SIMULATOR_HOST, resolve)
  })
  url = `http://${config.SIMULATOR_HOST}:${(server.address() as AddressInfo).port}`
  log.info({ url, tasks: ledger.all().length }, 'simulator started')
  const service = createService('simulator', async () => {
    await webhooks.stop()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    ledger.close()
  })
  return Object.assign(service, { url })
}

function ledgerRow(task: Task, now: number) {
  const ended = now >= task.endsAt
  return {
    client_business_id: task.ownId,
    task_id: task.taskId,
    status: ended ? task.outcome : now < task.startsAt ? 'queued' : 'in_progress',
    created_at: new Date(task.createdAt).toISOString(),
    finished_at: ended ? new Date(task.endsAt).toISOString() : null,
    refunded: ended && task.outcome === 'failed',
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  send(response, status, { error: { code, message } })
}

/** A body that takes seconds. */
function dribble(response: ServerResponse, body: string): void {
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  const half = Math.floor(body.length / 2)
  response.write(body.slice(0, half))
  setTimeout(() => response.end(body.slice(half)), 3_000 + Math.random() * 3_000).unref()
}

function sendFile(request: IncomingMessage, response: ServerResponse): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  const from = range ? Number(range[1]) : 0
  const to = range?.[2] ? Math.min(Number(range[2]), clip.length - 1) : clip.length - 1
  if (from > to)
    return void response.writeHead(416, { 'content-range': `bytes */${clip.length}` }).end()
  const headers = {
    'content-type': 'video/mp4',
    'accept-ranges': 'bytes',
    'content-length': to - from + 1,
  }
  response.writeHead(
    range ? 206 : 200,
    range ? { ...headers, 'content-range': `bytes ${from}-${to}/${clip.length}` } : headers,
  )
  response.end(clip.subarray(from, to + 1))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}
