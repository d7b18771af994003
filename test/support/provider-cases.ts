/** A server that answers as a case says, and an adapter that asks it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createToapis } from './toapis.ts'

export type Serve = (request: IncomingMessage, response: ServerResponse) => void
const json = { 'content-type': 'application/json' }

/** An answer with this body, in JSON unless it is text or bytes. */
export const says =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Serve =>
  (_, response) => {
    const bytes = typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body)
    response.writeHead(status, { ...json, ...headers }).end(bytes)
  }
export const link = 'https://cdn.example.com/v.mp4'
export const task = (more: object) => ({ id: 't', status: 'completed', ...more })
export const done = (url: unknown, more: object = {}) =>
  task({ result: { data: [{ url }] }, ...more })

export async function startCases() {
  let serve: Serve = says({})
  let seen: IncomingMessage[] = []
  const server = createServer((request, response) => {
    seen.push(request)
    request.resume().on('end', () => serve(request, response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const account = { baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: 'needle/of-this-test' }
  const options = { createTimeoutMs: 2_000, getTimeoutMs: 2_000, allowPrivate: true }
  const provider = createToapis(options)
  const now = (next: Serve) => {
    serve = next
    seen = []
  }
  return {
    seen: () => seen,
    create(next: Serve) {
      now(next)
      return provider.create(account, { ownId: 'own-1', model: 'm', prompt: 'p' })
    },
    async get(next: Serve, id = 't') {
      now(next)
      return (await provider.get(account, id)).answer
    },
    find(body: object) {
      now(says(body))
      return provider.find(account, { ownId: 'own-1', request: null })
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]()
      server.closeAllConnections()
      server.close()
    },
  }
}
export type Cases = Awaited<ReturnType<typeof startCases>>
