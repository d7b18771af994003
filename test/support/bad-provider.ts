/**
 * A tenant's own way to the provider simulator, which can go bad. Whatever the way, a create that
 * passes it is in the simulator's ledger.
 */
import {
  createServer,
  request as ask,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

/**
 * `slow` answers after 5 s, `dripping` a byte a second, `silent` never; `busy` says 429 to
 * everything, `refusing` 403 to every query, `cut` ends the connection after the request was
 * carried out; `enormous` adds 6 MiB to every answer, packed; `twice` says everything a second time
 * a moment later, on the same connection; `broken` (none of those that are tried by all) answers
 * every create 500.
 */
export const badWays = [
  'slow',
  'dripping',
  'silent',
  'busy',
  'refusing',
  'cut',
  'enormous',
  'twice',
] as const
export type BadWay = (typeof badWays)[number]

interface Heard {
  status: number
  type: string
  body: Buffer
}

export class BadProvider implements AsyncDisposable {
  way: BadWay | 'broken' | 'fine' = 'fine'
  /** Of everything that was asked: creates are POST, everything else is GET or a POST of many. */
  readonly asked = { creates: 0, queries: 0 }
  readonly #simulatorUrl: string
  readonly #server: Server

  private constructor(simulatorUrl: string) {
    this.#simulatorUrl = simulatorUrl
    this.#server = createServer((request, response) => {
      response.on('error', () => {})
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  static async before(simulatorUrl: string): Promise<BadProvider> {
    const provider = new BadProvider(simulatorUrl)
    await new Promise<void>((done) => provider.#server.listen(0, '127.0.0.1', done))
    return provider
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isCreate = request.method === 'POST' && !request.url!.endsWith('/batch')
    this.asked[isCreate ? 'creates' : 'queries']++
    if (this.way === 'busy') return refuse(response, 429, 'rate_limit_exceeded')
    if (this.way === 'broken' && isCreate) return refuse(response, 500, 'internal_error')
    if (this.way === 'refusing' && !isCreate) return refuse(response, 403, 'forbidden')
    const { way } = this
    const { status, type, body } = await this.#pass(request)
    if (way === 'silent') return // until the asker hangs up
    if (way === 'cut') return void response.destroy()
    if (way === 'enormous') return answerEnormously(response, status, body)
    if (way === 'twice') repeat(response, { status, type, body })
    if (way === 'slow') await sleep(5_000)
    response.writeHead(status, { 'content-type': type, 'content-length': body.length })
    if (way === 'dripping')
      for (const byte of body.subarray(0, -1)) {
        if (response.destroyed) return
        response.write(Buffer.of(byte))
        await sleep(1_000)
      }
    response.end(way === 'dripping' ? body.subarray(-1) : body)
  }

  /** The simulator's answer. */
  #pass(request: IncomingMessage): Promise<Heard> {
    return new Promise((resolve, reject) => {
      const { method, headers, url } = request
      const { host: _, ...rest } = headers
      const onward = ask(
        this.#simulatorUrl + url!,
        { method: method!, headers: rest },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () =>
            resolve({
              status: answer.statusCode!,
              type: answer.headers['content-type'] ?? '',
              body: Buffer.concat(chunks),
            }),
          )
        },
      )
      onward.on('error', reject)
      request.pipe(onward)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'retry-after': '2' })
    .end(JSON.stringify({ error: { code, message: 'Not now.' } }))
}

const enormous = '\\'.repeat(3 * 2 ** 20)
/** The text is 6 MiB of JSON, as each backslash is two there. */
function answerEnormously(response: ServerResponse, status: number, body: Buffer): void {
  const answer = { ...(JSON.parse(body.toString()) as object), note: enormous }
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
    .end(gzipSync(JSON.stringify(answer), { level: 1 }))
}

/** Once it has been said. */
function repeat(response: ServerResponse, { status, type, body }: Heard): void {
  const { socket } = response
  const head = `HTTP/1.1 ${status} x\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`
  response.once('finish', () =>
    setTimeout(() => socket?.writable && socket.write(head + body.toString()), 20),
  )
}
