/** A server that answers each path as it was told, and a provider with the plainest of dialects. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bearer, type Dialect } from '#libs/provider/edge/dialect.ts'
import { createRestProvider, type RestOptions } from '#libs/provider/rest.ts'

export interface Asked {
  path: string
  method: string
  headers: IncomingMessage['headers']
  body: string
}
export type Says = Record<string, [number, unknown]>

export async function startSaid() {
  const now = { asked: [] as Asked[], says: {} as Says }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const path = request.url ?? ''
      now.asked.push({ path, method: request.method ?? '', headers: request.headers, body })
      const [status, said] = now.says[path] ?? [404, { code: 'gone' }]
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    now,
    baseUrl,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

export const plain: Dialect = {
  name: 'plain',
  expectedMs: 1,
  resultLifeMs: 1,
  authenticate: bearer,
  create: ({ ownId }) => ({ path: '/create', body: { ownId } }),
  createdId: ['id'],
  get: (taskId) => ({ path: `/tasks/${encodeURIComponent(taskId)}` }),
  task: { id: ['id'], status: ['status'], links: ['url'], reason: ['error'], prompt: ['prompt'] },
  progressIn: 'percent',
  words: { running: 'running', done: 'done', blocked: 'blocked' },
  error: { code: ['code'], message: ['message'] },
  codes: {},
  statuses: {},
  laterCodes: ['busy'],
  missingCodes: ['gone'],
}

const options: RestOptions = { createTimeoutMs: 2_000, getTimeoutMs: 2_000, allowPrivate: true }
export const makePlain = (more: Partial<Dialect>, others: Partial<RestOptions> = {}) =>
  createRestProvider({ ...plain, ...more }, { ...options, ...others })
