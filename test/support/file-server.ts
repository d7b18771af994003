/**
 * A provider's file server that misbehaves as its paths say: `/slow/…` drips, `/cut/…` breaks off
 * once and resumes, `/cut-for-good/…` breaks off and cannot resume, `/html/…` answers a page, and
 * so on.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FileServer extends AsyncDisposable {
  url: string
  /** Requests by path, with the range asked for. */
  asked: { path: string; range: string | undefined; authorization: string | undefined }[]
  /** Answers of 404 are given for these paths. */
  dead: Set<string>
}

type Answer = (request: IncomingMessage, response: ServerResponse, data: Buffer) => void

const head = { 'content-type': 'video/mp4', 'accept-ranges': 'bytes', etag: '"one"' }

const whole: Answer = (request, response, data) => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? Number.NaN)
  if (Number.isNaN(from)) return send(response, 200, data, {})
  send(response, 206, data.subarray(from), {
    'content-range': `bytes ${from}-${data.length - 1}/${data.length}`,
  })
}

function send(response: ServerResponse, status: number, data: Buffer, more: object): void {
  response.writeHead(status, { ...head, 'content-length': String(data.length), ...more })
  response.end(data)
}

const cut = (canResume: boolean): Answer => {
  return (request, response, data) => {
    if (request.headers.range) return whole(request, response, data)
    const headers = canResume ? head : { 'content-type': 'video/mp4' }
    response.writeHead(200, { ...headers, 'content-length': String(data.length) })
    response.write(data.subarray(0, data.length >> 1))
    setTimeout(() => response.destroy(), 50)
  }
}

const answers: Record<string, Answer> = {
  ok: whole,
  cut: cut(true),
  'cut-for-good': cut(false),
  slow(_request, response, data) {
    response.writeHead(200, { ...head, 'content-length': String(data.length) })
    let at = 0
    const timer = setInterval(() => {
      if (at < data.length && !response.destroyed) response.write(data.subarray(at, ++at))
      else clearInterval(timer)
    }, 100)
  },
  silent() {},
  html(_request, response) {
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end('<html><body>This link has expired.</body></html>')
  },
  redirect(request, response) {
    const { port } = request.socket.address() as AddressInfo
    const rest = (request.url ?? '').replace(/^\/redirect/, '/ok')
    response.writeHead(302, { location: `http://localhost:${port}${rest}` }).end()
  },
  inward(_request, response) {
    response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end()
  },
  'to-file'(_request, response) {
    response.writeHead(302, { location: 'file:///etc/passwd' }).end()
  },
  circle(request, response) {
    response.writeHead(302, { location: request.url }).end()
  },
  busy(_request, response) {
    response.writeHead(503, { 'retry-after': '1' }).end()
  },
  short(_request, response, data) {
    response.writeHead(200, { 'content-type': 'video/mp4', connection: 'close' })
    response.end(data.subarray(0, 2_000))
  },
}

export async function startFileServer(data: Buffer): Promise<FileServer> {
  const asked: FileServer['asked'] = []
  const dead = new Set<string>()
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    asked.push({ path, range: request.headers.range, authorization: request.headers.authorization })
    if (dead.has(path)) return void response.writeHead(404).end('gone')
    const answer = answers[path.split('/')[1] ?? '']
    if (answer) answer(request, response, data)
    else response.writeHead(404).end('no such file')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    dead,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
