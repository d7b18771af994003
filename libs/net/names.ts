/**
 * Names of hosts that users give, resolved by DNS alone and without a thread. `getaddrinfo` holds
 * one of the process's few threads for as long as a name's servers are silent, and all other names
 * wait behind it. Names of the machine and of search domains are no users' business.
 */
import { lookup as byThread, Resolver, type LookupAddress, type ResolverOptions } from 'node:dns'
import type { LookupFunction } from 'node:net'

/** @param servers those of the machine where none are given */
export function lookupByDns(options: ResolverOptions = {}, servers?: string[]): LookupFunction {
  const resolver = new Resolver({ timeout: 1_500, tries: 2, ...options })
  if (servers) resolver.setServers(servers)
  return (hostname, asked, callback) => {
    // answered by the machine itself
    if (/(^|\.)localhost\.?$/i.test(hostname)) return byThread(hostname, asked, callback)
    const found: LookupAddress[] = []
    const families = asked.family === 4 || asked.family === 6 ? [asked.family] : [4, 6]
    let open = families.length
    const told = (family: number) => (err: NodeJS.ErrnoException | null, addresses: string[]) => {
      if (!err) found.push(...addresses.map((address) => ({ address, family })))
      if (--open > 0) return
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
