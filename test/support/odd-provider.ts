/**
 * A provider's server, in the form of toapis, whose answers nobody wants: which ones, the first
 * part of its path says. Every create that it answers is a task of its own, but at `one-id`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'

/**
 * `dripping` answers queries byte by byte without an end; `enormous` with 7 MiB of JSON, packed;
 * `backslashes` with a text of them; `twice` answers each create a second time a moment later;
 * `one-id` has one id for all tasks.
 */
export type OddWay = 'dripping' | 'enormous' | 'backslashes' | 'twice' | 'one-id'

export class OddProvider implements AsyncDisposable {
  /** What was asked for, by task. */
  readonly prompts = new Map<string, string>()
  readonly #server = createServer(
    (request, response) => void this.#answer(request, response).catch(() => response.destroy()),
  )

  async listen(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
  }

  baseUrl(way: OddWay): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${way}/v1`
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const way = request.url!.split('/')[1] as OddWay
    if (request.method === 'POST') return this.#create(way, request, response)
    const id = request.url!.split('/').at(-1)!
    response.setHeader('content-type', 'application/json')
    if (way === 'dripping') {
      const drip = setInterval(() => response.write(' '), 200)
      return void response.on('close', () => clearInterval(drip))
    }
    if (!this.prompts.has(id))
      return void response.writeHead(404).end('{"error":{"code":"task_not_found","message":"no"}}')
    const task = { id, object: 'generation.task', status: 'in_progress', progress: 5 }
    if (way === 'enormous') {
      response.setHeader('content-encoding', 'gzip')
      return void response.end(enormous(task))
    }
    if (way === 'backslashes')
      return void response.end(JSON.stringify({ ...task, note: '\\'.repeat(200_000) }))
    const result = { type: 'video', data: [{ url: `http://127.0.0.1:9/${id}.mp4`, format: 'mp4' }] }
    response.end(JSON.stringify({ ...task, status: 'completed', progress: 100, result }))
  }

  async #create(way: OddWay, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt } = JSON.parse(await text(request)) as { prompt: string }
    const id = way === 'one-id' ? 'task_one' : `task_${crypto.randomUUID()}`
    if (!this.prompts.has(id)) this.prompts.set(id, prompt)
    const body = JSON.stringify({ id })
    if (way !== 'twice')
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(body)
    const { socket } = request
    const raw = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    socket.on('error', () => {})
    socket.write(raw)
    setTimeout(() => socket.writable && socket.write(raw), 20)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }
}

const packed = new Map<string, Buffer>()
function enormous(task: { id: string }): Buffer {
  const known = packed.get(task.id)
  if (known) return known
  const made = gzipSync(JSON.stringify({ ...task, notes: Array(700_000).fill('enormous') }))
  packed.set(task.id, made)
  return made
}
