/**
 * A TCP proxy on loopback that can go bad: half open (nothing passes, nothing closes), cut, or
 * slow.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export class Proxy implements AsyncDisposable {
  readonly #server: Server
  readonly #pairs = new Set<[Socket, Socket]>()
  #halfOpen = false
  /** Each chunk waits this long, in ms. */
  delayMs = 0

  private constructor(server: Server) {
    this.#server = server
  }

  static async to(port: number): Promise<Proxy> {
    const server = createServer({ allowHalfOpen: false })
    const proxy = new Proxy(server)
    server.on('connection', (inside) => proxy.#join(inside, connect(port, '127.0.0.1')))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  #join(inside: Socket, outside: Socket): void {
    const pair: [Socket, Socket] = [inside, outside]
    this.#pairs.add(pair)
    const end = () => {
      this.#pairs.delete(pair)
      inside.destroy()
      outside.destroy()
    }
    for (const [from, to] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      from.setNoDelay(true)
      from.on('error', end)
      from.on('close', () => !this.#halfOpen && end())
      from.on('data', (chunk) => {
        if (this.delayMs > 0) setTimeout(() => to.write(chunk), this.delayMs)
        else if (!to.write(chunk)) {
          from.pause()
          to.once('drain', () => !this.#halfOpen && from.resume())
        }
      })
      if (this.#halfOpen) from.pause()
    }
  }

  /** From now on nothing passes and nothing is closed, on connections old and new. */
  halfOpen(): void {
    this.#halfOpen = true
    for (const pair of this.#pairs) for (const socket of pair) socket.pause()
  }

  /** Back to normal: what was held back arrives late, or, with `cut`, the connections are reset. */
  heal(cut: boolean): void {
    this.#halfOpen = false
    if (cut) return this.cut()
    for (const pair of this.#pairs) {
      for (const socket of pair) {
        if (socket.destroyed) for (const other of pair) other.destroy()
        else socket.resume()
      }
    }
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
    this.#pairs.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
