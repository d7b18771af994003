/**
 * Begins with the files that take longest, so that none of them is waited for alone at the end. A
 * fresh clone knows no durations. Mostly they wait (for deadlines, leases, circuits, a minute's
 * budget); what keeps both cores busy by itself, the simulation, may well be last.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const longest = [
  'system/lost-creates',
  'laws/laws',
  'system/faults',
  'system/create-budgets',
  'system/main-job',
  'chaos/chaos',
  'system/account-budgets',
  'system/provider-ends',
  'system/postgres-dies',
  'system/circuits',
  'system/provider',
  'system/poller-tenants',
  'system/gateway-files',
  'system/client',
  'system/key-needle',
  'security/network',
  'system/gateway-store',
  'system/small-pool',
  'system/every-provider',
  'system/provider-without-look-up',
  'system/proxy-environment',
  'system/nats-fuzz',
  'system/browser',
].map((name) => `/test/${name}.test.ts`)

const rank = ({ moduleId }: TestSpecification) => {
  const found = longest.findIndex((path) => moduleId.endsWith(path))
  return found < 0 ? longest.length : found
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rank(a) - rank(b))
  }
}
