/**
 * What may stand between a client and the gateway: passes requests on, and gets in the way when
 * told to.
 */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Front extends AsyncDisposable {
  readonly url: string
  /**
   * `refuse`: streams are answered 403 by something that is not the gateway; `swallow`: accepted,
   * and no byte ever comes.
   */
  streams: 'pass' | 'refuse' | 'swallow'
  /** So many POSTs are carried out, and their answers lost. */
  answersToLose: number
  /** Of every request that came, `METHOD path`, and its Idempotency-Key. */
  readonly seen: {
    line: string
    idempotencyKey: string | undefined
    lastEventId: string | undefined
  }[]
}

export async function startFront(gatewayUrl: () => string): Promise<Front> {
  const pass = (question: IncomingMessage, answer: ServerResponse, isLost: boolean) => {
    const { host: _, ...headers } = question.headers
    const onward = request(
      gatewayUrl() + question.url!,
      { method: question.method, headers },
      (got) => {
        if (isLost) return void got.resume().on('end', () => question.socket.destroy())
        answer.writeHead(got.statusCode!, got.headers)
        got.on('error', () => answer.destroy())
        return void got.pipe(answer)
      },
    )
    onward.on('error', () => answer.destroy())
    answer.on('close', () => onward.destroy())
    question.pipe(onward)
  }
  const server = createServer((question, answer) => {
    const path = new URL(question.url!, 'http://front').pathname
    front.seen.push({
      line: `${question.method} ${path}`,
      idempotencyKey: question.headers['idempotency-key']?.toString(),
      lastEventId: question.headers['last-event-id']?.toString(),
    })
    if (path.endsWith('/events') && front.streams === 'refuse')
      return void answer.writeHead(403, { 'content-type': 'text/html' }).end('<h1>Not here</h1>')
    if (path.endsWith('/events') && front.streams === 'swallow')
      return answer.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    return pass(question, answer, question.method === 'POST' && front.answersToLose-- > 0)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const front: Front = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    streams: 'pass',
    answersToLose: 0,
    seen: [],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return front
}
