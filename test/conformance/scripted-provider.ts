/**
 * A server that speaks a provider's dialect about one task, whose state each test sets; or breaks
 * off, or says something that is in no dialect.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  Trouble,
  type Incoming,
  type SimulatedProvider,
  type TroubleKind,
  type View,
  type World,
} from '#services/provider-simulator/dialect.ts'
import { readText, send } from '#services/provider-simulator/http.ts'

/** An answer byte for byte. */
export interface Raw {
  status: number
  headers?: Record<string, string>
  body: string
}
/** What the task is, or the trouble that every request meets. */
export interface Script {
  task?: Partial<View>
  trouble?: [kind: TroubleKind, message: string, retryAfter?: string | undefined]
  headers?: Record<string, string>
}
export type Behaviour = Script | Raw | 'reset' | 'hang' | 'cut'

export interface Asked {
  method: string
  url: string
  headers: IncomingHttpHeaders
  raw: string
  /** The dialect accepts its key. */
  isKnown: boolean
}

export const taskId = 'task-1'
const day = 24 * 3_600_000
const calm: View = {
  taskId,
  ownId: '0192-1',
  model: 'm',
  prompt: 'p',
  status: 'queued',
  progress: 0,
  createdAt: Date.UTC(2026, 0, 1) - 60_000,
  startsAt: Date.UTC(2026, 0, 1) - 50_000,
  endedAt: null,
  link: 'https://example.com/v.mp4',
  expiresAt: Date.UTC(2026, 0, 1) + day,
  reason: '',
  input: {},
}

export class ScriptedProvider {
  behaviour: Behaviour = {}
  asked: Asked[] = []
  /** The text of each answer. */
  answered: string[] = []
  baseUrl = ''
  readonly #dialect: SimulatedProvider
  readonly #model: string
  readonly #server = createServer((request, response) => {
    void readText(request).then(async (raw) => {
      const url = new URL(request.url ?? '/', this.baseUrl)
      const incoming: Incoming = {
        method: request.method ?? '',
        path: url.pathname.slice('/base'.length),
        query: url.searchParams,
        headers: request.headers,
        raw,
        baseUrl: this.baseUrl,
      }
      const login = this.#dialect.login?.(incoming)
      if (login) return send(response, login.status, login.body)
      const isKnown = this.#dialect.account(incoming) !== null
      this.asked.push({ ...incoming, url: request.url ?? '', isKnown })
      await this.#behave(incoming, response)
    })
  })

  constructor(dialect: SimulatedProvider, model: string) {
    this.#dialect = dialect
    this.#model = model
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.baseUrl = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/base`
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #behave(incoming: Incoming, response: ServerResponse): Promise<void> {
    const { behaviour } = this
    if (behaviour === 'hang') return
    if (behaviour === 'reset') return void response.socket?.destroy()
    if (behaviour === 'cut') {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 500 })
      response.write('{"id": "task-1", ')
      return void setTimeout(() => response.socket?.destroy(), 20)
    }
    const { status, headers, body } =
      'status' in behaviour ? behaviour : await this.#speak(incoming, behaviour)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    this.answered.push(text)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
  }

  async #speak(incoming: Incoming, { task, trouble, headers }: Script) {
    try {
      const world = new ScriptedWorld({ ...calm, model: this.#model, ...task }, trouble)
      const said = await this.#dialect.handle(incoming, world)
      return { ...said, headers: { ...said.headers, ...headers } }
    } catch (err) {
      if (!(err instanceof Trouble)) throw err
      const said = this.#dialect.trouble(err.kind, err.message, err.retryAfter)
      const wait = err.retryAfter === undefined ? {} : { 'retry-after': err.retryAfter }
      return { ...said, headers: { ...said.headers, ...wait, ...headers } }
    }
  }
}

class ScriptedWorld implements World {
  readonly now = Date.UTC(2026, 0, 1)
  readonly #view: View
  readonly #trouble: Script['trouble']
  constructor(view: View, trouble: Script['trouble']) {
    this.#view = view
    this.#trouble = trouble
  }
  create() {
    return { ...this.find(), isRepeated: false }
  }
  find(): View {
    if (this.#trouble) throw new Trouble(...this.#trouble)
    return this.#view
  }
  findMany(): View[] {
    return [this.find()]
  }
  list(): View[] {
    return [this.find()]
  }
  cancel(): View {
    return { ...this.find(), status: 'cancelled' }
  }
}
