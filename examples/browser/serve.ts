/**
 * Serves the page beside it, and stands between the page and the gateway: the key stays here.
 *
 *   npm start                        # in one terminal
 *   npm run example:browser          # in another, then open what it prints
 *
 * Four routes are passed on, with a key of scope read and write that is made here and revoked at
 * the end. Only this page's own origin may ask: another page in the same browser, or another name
 * for this address, is refused. A real server also checks who is signed in.
 */
import { readFile } from 'node:fs/promises'
import {
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import type { AddressInfo } from 'node:net'

export interface Scene {
  gatewayUrl: string
  apiKey: string
  projectId: string
  scriptId: string
  sceneIds: string[]
}

const files = /^\/(client\/)?([\w-]+\.(?:ts|js|html))$/
const passedOn = [
  /^POST \/api\/projects\/[^/]+\/scripts\/[^/]+\/scenes\/[^/]+\/generate-video$/,
  /^GET \/api\/events$/,
  /^GET \/api\/scene-videos$/,
  /^GET \/api\/scene-videos\/[^/]+$/,
]
const folders = {
  page: new URL('./', import.meta.url),
  client: new URL('../../libs/client/dist/', import.meta.url),
}

/** Host and, where a browser names it, Origin are this very server. */
function isOwnPage({ headers, socket }: IncomingMessage): boolean {
  const own = [`127.0.0.1:${socket.localPort}`, `localhost:${socket.localPort}`]
  const { host = '', origin } = headers
  return own.includes(host) && (origin === undefined || origin === `http://${host}`)
}

/** This port, or where it is taken the next free one. */
async function listen(server: Server, port: number): Promise<void> {
  const isTaken = await new Promise<boolean>((resolve, reject) => {
    const failed = (err: NodeJS.ErrnoException) =>
      err.code === 'EADDRINUSE' ? resolve(true) : reject(err)
    server.once('error', failed)
    server.listen(port, '127.0.0.1', () => resolve(false))
  })
  if (isTaken) await listen(server, port + 1)
}

/** A key of scope read and write, made with the one of `npm start`. */
class OwnKey {
  #made: { from: string; key: Promise<{ id: string; apiKey: string }> } | undefined
  #revoke = async () => {}

  async get({ gatewayUrl, apiKey }: Scene): Promise<string> {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
    const make = async () => {
      const body = JSON.stringify({ name: 'browser example', scopes: ['read', 'write'] })
      const answer = await fetch(`${gatewayUrl}/api/api-keys`, { method: 'POST', headers, body })
      if (!answer.ok) throw new Error(`no key: HTTP ${answer.status}`)
      const made = (await answer.json()) as { id: string; apiKey: string }
      this.#revoke = async () => {
        const url = `${gatewayUrl}/api/api-keys/${made.id}`
        await fetch(url, { method: 'DELETE', headers: { authorization: headers.authorization } })
      }
      return made
    }
    if (this.#made?.from !== apiKey) this.#made = { from: apiKey, key: make() }
    try {
      return (await this.#made.key).apiKey
    } catch (err) {
      this.#made = undefined
      throw err
    }
  }

  async revoke(): Promise<void> {
    await this.#revoke().catch(() => {})
  }
}

/** `scene` is read for every request: what it tells may change while this runs. */
export async function servePage(
  scene: () => Scene | Promise<Scene>,
  port = 0,
): Promise<{ url: string } & AsyncDisposable> {
  const key = new OwnKey()
  const serve = async (path: string, answer: ServerResponse) => {
    if (path === '/scene.json') {
      const { projectId, scriptId, sceneIds } = await scene()
      return answer
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ projectId, scriptId, sceneId: sceneIds[0] }))
    }
    const [, client, name] = files.exec(path === '/' ? '/index.html' : path) ?? []
    if (!name) return answer.writeHead(404).end()
    const text = await readFile(new URL(name, client ? folders.client : folders.page), 'utf8')
    const isPage = name.endsWith('.html')
    return answer
      .setHeader('content-type', isPage ? 'text/html' : 'text/javascript')
      .end(name.endsWith('.ts') ? stripTypeScriptTypes(text) : text)
  }
  const pass = async (question: IncomingMessage, answer: ServerResponse) => {
    const { gatewayUrl } = await scene()
    const apiKey = await key.get(await scene())
    const { host: _, ...headers } = question.headers
    const onward = request(
      gatewayUrl + question.url,
      { method: question.method, headers: { ...headers, authorization: `Bearer ${apiKey}` } },
      (got) => {
        answer.writeHead(got.statusCode!, got.headers)
        got.on('error', () => answer.destroy()).pipe(answer)
      },
    )
    onward.on('error', () => answer.destroy())
    answer.on('close', () => onward.destroy())
    question.pipe(onward)
  }
  const server = createServer((question, answer) => {
    const { pathname } = new URL(question.url!, 'http://page')
    if (!isOwnPage(question)) return void answer.writeHead(403).end()
    if (!pathname.startsWith('/api/'))
      return void serve(pathname, answer).catch(() => answer.writeHead(404).end())
    const route = `${question.method} ${pathname}`
    if (!passedOn.some((one) => one.test(route))) return void answer.writeHead(404).end()
    pass(question, answer).catch(() => answer.writeHead(502).end())
  })
  await listen(server, port)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      await key.revoke()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

if (import.meta.main) {
  const served = await servePage(
    async () => JSON.parse(await readFile('.reelkeeper/dev.json', 'utf8')) as Scene,
    Number(process.env['PORT'] ?? 3001),
  )
  process.stdout.write(`Open ${served.url}\n`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void served[Symbol.asyncDispose]())
}
