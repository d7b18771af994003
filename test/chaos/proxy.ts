/**
 * A TCP proxy on loopback that can go bad: half open (nothing passes, nothing closes), cut, or
 * slow.
 */
import {
  connect,
  createServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net'

export type Server = 'postgres' | 'nats'

export class Proxy implements AsyncDisposable {
  readonly #server: TcpServer
  readonly #pairs = new Set<[Socket, Socket]>()
  #halfOpen = false
  /** Each chunk waits this long, in ms. */
  delayMs = 0

  private constructor(server: TcpServer) {
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

/** Every service's own proxies to its servers; none to a server without a port here. */
export class Proxies implements AsyncDisposable {
  readonly #ports: Partial<Record<Server, number>>
  readonly #all = new Map<string, Proxy>()

  constructor(ports: Partial<Record<Server, number>>) {
    this.#ports = ports
  }

  of(name: string, server: Server): Proxy | undefined {
    return this.#all.get(`${name} ${server}`)
  }

  /** A service's settings, with its proxies in the place of the servers. */
  async before(name: string, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
    return {
      ...env,
      NATS_URL: await this.#through(name, 'nats', env['NATS_URL']),
      DATABASE_URL: await this.#through(name, 'postgres', env['DATABASE_URL']),
    }
  }

  async #through(name: string, server: Server, direct: string | undefined) {
    const port = this.#ports[server]
    if (!direct || !port) return direct
    const proxy = await Proxy.to(port)
    this.#all.set(`${name} ${server}`, proxy)
    return direct.replace(`:${port}`, `:${proxy.port}`)
  }

  heal(): void {
    for (const proxy of this.#all.values()) proxy.heal(true)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all.values()].map((proxy) => proxy[Symbol.asyncDispose]()))
  }
}
