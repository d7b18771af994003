/**
 * A TCP link on loopback whose delay can be changed at any time: bytes stay in order, also when it
 * gets shorter while some are under way.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export class SlowLink implements AsyncDisposable {
  readonly #server = createServer((inside) => this.#join(inside))
  readonly #sockets = new Set<Socket>()
  readonly #target: number
  /** Milliseconds that each direction takes. */
  delayMs = 0

  private constructor(target: number) {
    this.#target = target
  }

  static async to(target: number): Promise<SlowLink> {
    const link = new SlowLink(target)
    await new Promise<void>((resolve) => link.#server.listen(0, '127.0.0.1', resolve))
    return link
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  #join(inside: Socket): void {
    const outside = connect(this.#target, '127.0.0.1')
    this.#pass(inside, outside)
    this.#pass(outside, inside)
  }

  #pass(from: Socket, to: Socket): void {
    const underWay: { chunk: Buffer; due: number }[] = []
    let timer: NodeJS.Timeout | undefined
    const deliver = () => {
      timer = undefined
      while (underWay[0] && underWay[0].due <= performance.now()) to.write(underWay.shift()!.chunk)
      if (underWay[0]) timer = setTimeout(deliver, underWay[0].due - performance.now())
    }
    this.#sockets.add(from)
    from.setNoDelay(true)
    from.on('error', () => to.destroy())
    from.on('close', () => {
      clearTimeout(timer)
      this.#sockets.delete(from)
      to.destroy()
    })
    from.on('data', (chunk) => {
      underWay.push({
        chunk,
        due: Math.max(performance.now() + this.delayMs, underWay.at(-1)?.due ?? 0),
      })
      if (!timer) deliver()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
