/**
 * Gives single files of the store to a program on this machine that reads by HTTP: on loopback,
 * each under an address nobody can guess, until it is closed. It answers ranges and nothing else.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FileStore } from './file-store.ts'

type Files = Pick<FileStore, 'read' | 'size'>

export class StoredFileServer implements AsyncDisposable {
  readonly #files: Files
  readonly #server: Server
  readonly #open = new Map<string, { key: string; bytes: number }>()

  private constructor(files: Files) {
    this.#files = files
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  static async open(files: Files): Promise<StoredFileServer> {
    const one = new StoredFileServer(files)
    await new Promise<void>((resolve, reject) => {
      one.#server.once('error', reject)
      one.#server.listen(0, '127.0.0.1', resolve)
    })
    return one
  }

  /** @throws where there is no such file */
  async open(key: string): Promise<AsyncDisposable & { url: string }> {
    const bytes = await this.#files.size(key)
    if (bytes === null) throw new Error(`there is no file ${key}`)
    const path = `/${randomBytes(16).toString('hex')}`
    this.#open.set(path, { key, bytes })
    return {
      url: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`,
      [Symbol.asyncDispose]: async () => void this.#open.delete(path),
    }
  }

  async #answer({ url, headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const file = this.#open.get(url ?? '')
    if (!file) return void response.writeHead(404).end()
    const start = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0)
    const end = file.bytes - 1
    if (start > end) return void response.writeHead(416).end()
    const body = await this.#files.read(file.key, { start, end })
    if (body === null) return void response.writeHead(404).end()
    response.writeHead(headers.range === undefined ? 200 : 206, {
      'accept-ranges': 'bytes',
      'content-length': end - start + 1,
      'content-range': `bytes ${start}-${end}/${file.bytes}`,
    })
    await pipeline(body instanceof Readable ? body : Readable.from(body), response)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open.clear()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
