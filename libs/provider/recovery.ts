/**
 * At which addresses a lost create may be recovered. Whoever resells a provider's format seldom
 * keeps its look-ups, its lists or its keys: there a list may be that of all customers, and the
 * same create again a second task. So it is done at the provider's own hosts only, unless the
 * operator switches it on; elsewhere a lost create ends in `submission_unknown`.
 */
import type { Declaration } from './declaration.ts'
import type { Declared } from './provider.ts'

/** Hosts, or their suffixes; null: every host. */
export type RecoveryHosts = readonly string[] | null

export const recoveryHostsOf = (
  { baseUrl, regions = {}, ownHosts = [], isWholeAnywhere }: Declaration,
  isOnAnywhere: boolean,
): RecoveryHosts =>
  isOnAnywhere || isWholeAnywhere
    ? null
    : [
        ...new Set([baseUrl, ...Object.values(regions)].map((one) => new URL(one).host)),
        ...ownHosts,
      ]

export function isAmong(hosts: RecoveryHosts, baseUrl: string): boolean {
  if (hosts === null) return true
  const host = URL.parse(baseUrl)?.host
  return hosts.some((own) => host === own || host?.endsWith(`.${own}`) === true)
}

/** What the provider can at this address. */
export const canAt = (
  { can, recoveryHosts = null }: Pick<Declared, 'can' | 'recoveryHosts'>,
  { baseUrl }: { baseUrl: string },
): Declared['can'] =>
  // rule: a reseller is not asked for a lost create unless that is switched on
  isAmong(recoveryHosts, baseUrl) ? can : { findByOwnId: false, cancel: can.cancel }
