import { randomInt } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'

/**
 * Below what Linux gives to outgoing connections and to listeners on port 0: nobody is given one of
 * these by chance between its choice and its use.
 */
const [lowest, above] = [20_000, 32_000]
const tries = 50

/** A free TCP port on loopback: `preferred` if it is free, else any. */
export async function freePort(preferred = 0): Promise<number> {
  const kept = preferred ? await tryPort(preferred) : null
  if (kept !== null) return kept
  for (let n = 0; n < tries; n++) {
    const port = await tryPort(randomInt(lowest, above))
    if (port !== null) return port
  }
  return (await tryPort(0))!
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
