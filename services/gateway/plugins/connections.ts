/**
 * Connections: no more than so many, and of one address no more than its share, so that a single
 * machine cannot take them all. Proxies that are trusted have no share: behind them are many.
 */
import { BlockList, isIP, type Socket } from 'node:net'
import type { App } from '../context.ts'

export interface ConnectionBounds {
  most: number
  mostPerAddress: number
  /** Addresses or subnets. */
  trustedProxies: string[]
}

export function blockListOf(entries: string[]): BlockList {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}

export function registerConnections(app: App, bounds: ConnectionBounds): void {
  const trusted = blockListOf(bounds.trustedProxies)
  const open = new Set<Socket>()
  const held = new Map<string, number>()
  app.server.maxConnections = bounds.most
  app.server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = (held.get(address) ?? 0) + 1
    const isProxy =
      isIP(address) > 0 && trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
    if (!isProxy && count > bounds.mostPerAddress) return void socket.destroy()
    held.set(address, count)
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      const left = (held.get(address) ?? 1) - 1
      if (left > 0) held.set(address, left)
      else held.delete(address)
    })
  })
  // Of upgraded connections the server itself knows nothing any more, but it waits for them.
  let hurry: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    hurry = setTimeout(() => open.forEach((socket) => socket.destroy()), 3_000)
  })
  app.addHook('onClose', async () => clearTimeout(hurry))
}
