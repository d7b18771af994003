/**
 * Keeps addresses given by users out of private networks. The TCP socket is connected here, with
 * every address a name resolves to held against the list at that very moment, so a name that
 * changes its address gains nothing; undici gets the connected socket. (undici's own `connect`
 * option passes a BlockList on for http only.)
 */
import { BlockList, connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { buildConnector } from 'undici'
import { lookupByDns } from './names.ts'

const forbidden = new BlockList()
const ipv4 =
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4'
const ipv6 =
  '::/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/32 2001:db8::/32 2002::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8'
for (const [family, list] of [
  ['ipv4', ipv4],
  ['ipv6', ipv6],
] as const) {
  for (const [net, prefix] of list.split(' ').map((subnet) => subnet.split('/')))
    forbidden.addSubnet(net!, Number(prefix), family)
}

/** Of an address that may not be connected to. */
export const blockedCode = 'ERR_IP_BLOCKED'

/**
 * Whether a URL's host is such an address, or this machine's name; other names are judged when they
 * are connected to.
 */
export function isForbiddenHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$|\.+$/g, '').toLowerCase()
  const family = isIP(host)
  if (family) return forbidden.check(host, family === 6 ? 'ipv6' : 'ipv4')
  return host === 'localhost' || host.endsWith('.localhost')
}

/** Connects to public addresses only. */
export function guardedConnector(
  timeoutMs: number,
  lookup: LookupFunction = lookupByDns(),
  ca?: string[],
): buildConnector.connector {
  const secure = buildConnector({ timeout: timeoutMs, allowH2: false, ...(ca ? { ca } : {}) })
  return (options, callback) => {
    const isSecure = options.protocol === 'https:'
    const host = options.hostname.replace(/^\[|\]$/g, '')
    const socket = connect({
      host,
      port: Number(options.port) || (isSecure ? 443 : 80),
      blockList: forbidden,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      lookup,
    })
    const timer = setTimeout(
      () =>
        socket.destroy(
          Object.assign(new Error('Connect Timeout Error'), { code: 'UND_ERR_CONNECT_TIMEOUT' }),
        ),
      timeoutMs,
    )
    const onError = (err: Error & { errors?: (Error & { code?: string })[] }) => {
      clearTimeout(timer)
      callback(err.errors?.find((one) => one.code === blockedCode) ?? err.errors?.[0] ?? err, null)
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', onError)
      if (isSecure) secure({ ...options, httpSocket: socket as Socket }, callback)
      else callback(null, socket)
    })
  }
}
