import { createServer, type AddressInfo } from 'node:net'

/** A free TCP port on loopback: `preferred` if it is free, else any. */
export async function freePort(preferred = 0): Promise<number> {
  return (await tryPort(preferred)) ?? (await tryPort(0))!
}

export function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => {
      const { port: got } = server.address() as AddressInfo
      server.close(() => resolve(got))
    })
  })
}
