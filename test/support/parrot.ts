/**
 * A provider that repeats whatever it knows of its accounts (their secrets, the headers and bodies
 * that it was sent) in texts, codes, status words, links, ids, headers and broken answers, in every
 * usual encoding. It speaks several formats, each under its own path.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const json = { 'content-type': 'application/json' }

/** How a secret may stand in JSON: these escapes are put into an answer as they are. */
const escapes = (secret: string) => [
  secret.replaceAll('/', String.raw`\/`),
  secret.replace(/\w/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`),
  secret.replace(/[a-m]/g, (one) => `\\u00${one.charCodeAt(0).toString(16).toUpperCase()}`),
]
export const formsOf = (secret: string): string[] => [
  secret,
  encodeURIComponent(secret),
  secret.replaceAll('+', '&#43;'),
  Buffer.from(secret).toString('hex'),
  ...[0, 1, 2].map((n) => inBase64(secret, n)),
  ...[0, 1, 2].map((n) => inBase64(secret, n).replaceAll('+', '-').replaceAll('/', '_')),
]
/** What of a secret stands in the base64 of a text in which it begins at `offset`. */
const inBase64 = (secret: string, offset: number) =>
  Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)])
    .toString('base64')
    .replace(/=+$/, '')
    .slice(Math.ceil((offset * 8) / 6), Math.floor(((secret.length + offset) * 8) / 6))

/** One format: what it answers where a task was made, where one has ended, and where it refuses. */
interface Format {
  created(id: string): object
  task(id: string, said: Task): object
  refused(code: string, message: string): object
}
interface Task {
  word: 'failed' | 'unknown' | 'done'
  text: string
  link: string
}

const toapis: Format = {
  created: (id) => ({ id }),
  task: (id, { word, text, link }) => ({
    id,
    status: { failed: 'failed', unknown: `word ${text}`, done: 'completed' }[word],
    error: { code: text.slice(0, 30), message: text },
    result: { data: [{ url: link }] },
  }),
  refused: (code, message) => ({ error: { code, message } }),
}
const formats: Record<string, Format> = {
  system: toapis,
  own: toapis,
  kling: {
    created: (id) => ({ code: 0, data: { id } }),
    task: (id, { word, text: message, link: url }) => {
      const status = { failed: 'failed', unknown: `word ${message}`, done: 'succeeded' }[word]
      return { code: 0, data: [{ id, status, message, outputs: [{ url }] }] }
    },
    refused: (_, message) => ({ code: 1201, message }),
  },
  tencent: {
    created: (TaskId) => ({ Response: { TaskId } }),
    task: (TaskId, { word, text: Message, link: FileUrl }) => {
      const Status = word === 'unknown' ? `WORD ${Message}` : 'FINISH'
      const [ErrCode, FileInfos] = [word === 'failed' ? 1 : 0, [{ FileUrl }]]
      return {
        Response: { Status, AigcVideoTask: { TaskId, ErrCode, Message, Output: { FileInfos } } },
      }
    },
    refused: (Code, Message) => ({ Response: { Error: { Code, Message } } }),
  },
  vertex: {
    created: (id) => ({ name: `models/operations/${id}` }),
    task: (id, { word, text: message, link: gcsUri }) => {
      const name = `models/operations/${id}`
      if (word === 'failed') return { name, done: true, error: { code: 13, message } }
      if (word === 'unknown') return { name, done: `word ${message}` }
      return { name, done: true, response: { videos: [{ gcsUri }] } }
    },
    refused: (status, message) => ({ error: { status, message } }),
  },
}
export const parrotFormats = Object.keys(formats)

/** What it does to a create, by the prompt; `html`, `odd` and so on. All others are accepted. */
export const createWays = ['refused', 'html', 'odd', 'redirected', 'broken'] as const
/** What it does to a poll of a task that is called so. */
export const pollWays = ['failed', 'unknown', 'linked', 'lost', 'moved', 'cut'] as const

export class Parrot implements AsyncDisposable {
  /** Secrets, by format; those that it was sent are added. */
  readonly secrets: Record<string, Set<string>>
  readonly url: string
  /** What was logged in with, by the token that was had for it. */
  readonly #logins = new Map<string, string>()
  readonly #server

  private constructor(server: ReturnType<typeof createServer>, secrets: Record<string, string[]>) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    this.secrets = Object.fromEntries(
      Object.entries(secrets).map(([name, some]) => [name, new Set(some)]),
    )
    server.on('request', (request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => this.#answer(request, body, response))
    })
  }

  static async start(secrets: Record<string, string[]>): Promise<Parrot> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new Parrot(server, secrets)
  }

  #answer(request: IncomingMessage, body: string, response: ServerResponse): void {
    const [, name = '', ...rest] = request.url!.split('/')
    const format = formats[name]!
    const secrets = this.secrets[name]!
    if (rest[0] === 'token') {
      const assertion = new URLSearchParams(body).get('assertion')!
      const own = `ya29.needle/of+the.token_that-is-had${this.#logins.size}==`
      this.#logins.set(own, assertion)
      for (const one of [assertion, own]) secrets.add(one)
      const token = { access_token: own, expires_in: 3_600, echo: body }
      return void response.writeHead(200, json).end(JSON.stringify(token))
    }
    const known = this.#knownTo(request, secrets)
    const escaped = known.flatMap(escapes).map((one, i) => [`~${i}~`, one] as const)
    const text = [
      'Bad key:',
      ...known.flatMap(formsOf),
      ...escaped.map(([mark]) => mark),
      JSON.stringify(request.headers),
    ].join(' ')
    const secret = encodeURIComponent([...secrets][0]!)
    const link = `https://e.com/v.mp4?key=${secret}`
    const say = (status: number, what: object | string, headers = {}) => {
      const raw = typeof what === 'string' ? what : JSON.stringify(what)
      const told = escaped.reduce((all, [mark, one]) => all.replaceAll(mark, one), raw)
      response.writeHead(status, { ...json, ...headers, 'x-echo': secret }).end(told)
    }
    const away = { location: `https://e.com/?key=${secret}` }
    const way = /"prompt":\s*"(\w+)"/i.exec(body)?.[1]
    const asked = [...pollWays].find((one) => `${request.url} ${body}`.includes(`task-${one}`))
    const word = asked === 'failed' || asked === 'unknown' ? asked : 'done'
    const isRefused = createWays.some((one) => one === way)
    switch (way && !isRefused ? 'created' : (way ?? asked)) {
      case 'refused':
        return say(401, format.refused(`c ${text}`, text))
      case 'html':
        return say(418, `<html><title>${text}</title></html>`)
      case 'odd':
        return say(200, { echo: text })
      case 'redirected':
      case 'moved':
        return say(302, text, away)
      case 'broken':
        return void response.socket!.end(`HTTP/1.1 200 ${secret}\r\n${secret} : : \r\nx\r\n\r\n`)
      case 'failed':
      case 'unknown':
      case 'linked':
        return say(200, format.task(`task-${asked}`, { word, text, link }))
      case 'cut':
        return say(200, JSON.stringify({ echo: text }).slice(0, -1))
      case 'lost':
        return say(500, format.refused(`c ${text}`, text), { 'retry-after': secret })
      case 'created':
        return say(200, { ...format.created(`task-${way}`), echo: text })
      default:
        return say(404, format.refused('no', text))
    }
  }

  /** All but what other processes logged in with: it repeats what it was told by this one. */
  #knownTo({ headers }: IncomingMessage, secrets: Set<string>): string[] {
    const own = headers.authorization?.replace('Bearer ', '')
    const others = [...this.#logins].filter(([token]) => token !== own).flat()
    return [...secrets].filter((one) => !others.includes(one))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }
}
