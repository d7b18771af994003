/**
 * Names of hosts, resolved without a thread. `getaddrinfo` holds one of the process's few threads
 * for as long as a name's servers are silent, and all other names wait behind it.
 */
import { lookup as byThread, Resolver, type LookupAddress, type ResolverOptions } from 'node:dns'
import { readFileSync } from 'node:fs'
import type { LookupFunction } from 'node:net'

/** Where one kind of address is known, the other is waited for so long. */
const otherKindMs = 300

/**
 * Hosts that users give, by DNS alone: names of the machine and of search domains are not their
 * business.
 *
 * @param servers those of the machine where none are given
 */
export function lookupByDns(options: ResolverOptions = {}, servers?: string[]): LookupFunction {
  const resolver = new Resolver({ timeout: 1_500, tries: 2, ...options })
  if (servers) resolver.setServers(servers)
  return (hostname, asked, callback) => {
    // answered by the machine itself
    if (/(^|\.)localhost\.?$/i.test(hostname)) return byThread(hostname, asked, callback)
    const found: LookupAddress[] = []
    const families = asked.family === 4 || asked.family === 6 ? [asked.family] : [4, 6]
    let open = families.length
    let waiting: NodeJS.Timeout | undefined
    let isTold = false
    const told = (family: number) => (err: NodeJS.ErrnoException | null, addresses: string[]) => {
      if (isTold) return
      if (!err) found.push(...addresses.map((address) => ({ address, family })))
      open--
      // the other kind may never be answered
      if (open > 0 && found.length > 0) waiting = setTimeout(tell, otherKindMs, null)
      else if (open === 0) tell(err)
    }
    const tell = (err: NodeJS.ErrnoException | null) => {
      isTold = true
      clearTimeout(waiting)
      const [first] = found.toSorted((one, other) => one.family - other.family)
      if (first && asked.all) callback(null, found)
      else if (first) callback(null, first.address, first.family)
      // no DNS server at all: nobody's name can hold the threads
      else if (err?.code === 'ECONNREFUSED') byThread(hostname, asked, callback)
      else callback(asNotFound(err, hostname), '')
    }
    for (const family of families)
      if (family === 4) resolver.resolve4(hostname, told(4))
      else resolver.resolve6(hostname, told(6))
  }
}

/** Names without an address are not found, whichever kind of address was asked for. */
const asNotFound = (err: NodeJS.ErrnoException | null, hostname: string): NodeJS.ErrnoException =>
  err === null || err.code === 'ENODATA'
    ? Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND', hostname })
    : err

const hostsFile = '/etc/hosts'

/**
 * Hosts that the operator gives, found wherever the machine finds names. A thread is asked only for
 * what the machine itself knows, and for what DNS has answered that there is no such name: that may
 * be of a search domain.
 */
export function lookupAsMachine(options: ResolverOptions = {}, servers?: string[]): LookupFunction {
  const byDns = lookupByDns(options, servers)
  return (hostname, asked, callback) => {
    if (!hostname.includes('.') || isInHosts(hostname)) return byThread(hostname, asked, callback)
    // rule: a silent name holds up no other provider’s
    byDns(hostname, asked, (err, ...found) =>
      err?.code === 'ENOTFOUND' ? byThread(hostname, asked, callback) : callback(err, ...found),
    )
  }
}

function isInHosts(hostname: string): boolean {
  const name = hostname.toLowerCase()
  try {
    return readFileSync(hostsFile, 'utf8')
      .toLowerCase()
      .split('\n')
      .some((line) => line.replace(/#.*/, '').split(/\s+/).slice(1).includes(name))
  } catch {
    return false
  }
}
