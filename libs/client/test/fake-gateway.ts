/**
 * A gateway that answers what each test says: what the real one does only on bad days.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach } from 'vitest'
import type { SceneVideo } from '../src/client.ts'

export type Answer = (question: IncomingMessage, answer: ServerResponse) => unknown

export class FakeGateway {
  url = ''
  /** `GET /path`, in order. */
  asked: string[] = []
  script: (line: string, question: IncomingMessage) => Answer = () => drop

  /** Listens for each test of the file it is made in. */
  constructor() {
    const server = createServer((question, answer) => {
      const line = `${question.method} ${question.url}`
      this.asked.push(line)
      this.script(line, question)(question, answer)
    })
    beforeEach(async () => {
      this.asked = []
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    })
    afterEach(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
  }
}

export const video = (version: number, change: Partial<SceneVideo> = {}) =>
  ({ id: 'v', version, status: 'generating', attempt: 1, ...change }) as SceneVideo
export const json =
  (body: unknown, status = 200): Answer =>
  (_, answer) =>
    answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
export const problem =
  (status: number, code: string, headers: Record<string, string> = {}): Answer =>
  (_, answer) =>
    answer.writeHead(status, { 'content-type': 'application/problem+json', ...headers }).end(
      JSON.stringify({
        status,
        code,
        detail: code,
        errors: [{ pointer: '/prompt', detail: 'is too long' }],
      }),
    )
export const drop: Answer = (question) => question.socket.destroy()
export const page = (data: SceneVideo[]) => json({ data, hasMore: false, next: null })
/** Sends these messages, then breaks off. */
export const stream =
  (...messages: { id: string; event: string; data: SceneVideo }[]): Answer =>
  (_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const { id, event, data } of messages)
      answer.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    answer.write('', () => answer.destroy())
  }
export const all = async (videos: AsyncIterable<SceneVideo>) => {
  const seen: string[] = []
  for await (const { id, version, status } of videos) seen.push(`${id} ${version} ${status}`)
  return seen
}
export const scene = { projectId: 'p', scriptId: 's', sceneId: 'c' }
