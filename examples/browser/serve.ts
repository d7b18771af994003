/**
 * Serves the page beside it, and stands between the page and the gateway: the key stays here.
 *
 *   npm start                        # in one terminal
 *   npm run example:browser          # in another, then open what it prints
 *
 * The client is served as it is, its types stripped: no bundler. A real server also checks who asks
 * before it adds its key.
 */
import { readFile } from 'node:fs/promises'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import type { AddressInfo } from 'node:net'

export interface Scene {
  gatewayUrl: string
  apiKey: string
  projectId: string
  scriptId: string
  sceneIds: string[]
}

const files = /^\/(client\/)?([\w-]+\.(?:ts|html))$/
const folders = {
  page: new URL('./', import.meta.url),
  client: new URL('../../libs/client/', import.meta.url),
}

/** `scene` is read for every request: what it tells may change while this runs. */
export async function servePage(
  scene: () => Scene | Promise<Scene>,
  port = 0,
): Promise<{ url: string } & AsyncDisposable> {
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
      .end(isPage ? text : stripTypeScriptTypes(text))
  }
  const pass = async (question: IncomingMessage, answer: ServerResponse) => {
    const { gatewayUrl, apiKey } = await scene()
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
    const work = pathname.startsWith('/api/') ? pass(question, answer) : serve(pathname, answer)
    work.catch(() => answer.writeHead(502).end())
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

if (import.meta.main) {
  const { url } = await servePage(
    async () => JSON.parse(await readFile('.reelkeeper/dev.json', 'utf8')) as Scene,
    3001,
  )
  process.stdout.write(`Open ${url}\n`)
}
