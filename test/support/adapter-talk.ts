/** One adapter and a server that says what a test gives it, and keeps what it was asked. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Declaration } from '#libs/provider/declaration.ts'
import type { CreateRequest, Lost } from '#libs/provider/provider.ts'
import { createRestProvider } from '#libs/provider/rest.ts'

/** An answer whole, or the body of a 200, in JSON unless it is text. */
type Answer = object | string
interface Whole {
  status: number
  body: unknown
  headers?: Record<string, string>
}

interface Heard {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: unknown
  text: string
}

/** JSON, or a form as it is. */
const bodyOf = (text: string): unknown =>
  text === '' ? null : /^[[{]/.test(text) ? JSON.parse(text) : text

const isWhole = (answer: Answer | undefined): answer is Whole =>
  typeof answer === 'object' && 'body' in answer && 'status' in answer

export const request: CreateRequest = { ownId: 'own-1', model: 'm', prompt: 'a fox' }

/** Answers are given in turn, the last one again and again. */
export async function talkTo({ dialect, credentials }: Declaration) {
  let answers: Answer[] = []
  let heard: Heard[] = []
  const server = createServer((incoming, response) => {
    let text = ''
    incoming.on('data', (chunk: Buffer) => (text += chunk.toString()))
    incoming.on('end', () => {
      const { method = '', url: path = '', headers } = incoming
      heard.push({ method, path, headers, body: bodyOf(text), text })
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      const {
        status,
        body,
        headers: more,
      } = isWhole(answer) ? answer : { status: 200, body: answer }
      response.writeHead(status, { 'content-type': 'application/json', ...more })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  const account = { baseUrl: await listen(server), apiKey: 'key-of-this-test' }
  const options = { createTimeoutMs: 5_000, getTimeoutMs: 5_000, allowPrivate: true, credentials }
  const provider = createRestProvider(dialect, options)
  onTestFinished(async () => {
    await provider[Symbol.asyncDispose]()
    server.closeAllConnections()
    server.close()
  })
  const now = (next: Answer[]) => {
    answers = [...next]
    heard = []
  }
  return {
    provider,
    account,
    heard: () => heard,
    create(asked: Partial<CreateRequest>, ...next: Answer[]) {
      now(next)
      return provider.create(account, { ...request, ...asked })
    },
    async get(handle: string, ...next: Answer[]) {
      now(next)
      return (await provider.get(account, handle)).answer
    },
    cancel(handle: string, ...next: Answer[]) {
      now(next)
      return provider.cancel(account, handle)
    },
    search(
      lost: Partial<Omit<Lost, 'request'>> & { request?: Partial<CreateRequest> },
      ...next: Answer[]
    ) {
      now(next)
      const { from = Date.UTC(2026, 0, 1), until = from + 60_000, known = new Set<string>() } = lost
      return provider.search(account, {
        from,
        until,
        known,
        request: { ...request, ...lost.request },
      })
    },
  }
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`
}
