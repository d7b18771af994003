import { badWays, BadProvider } from '../../support/bad-provider.ts'
import { pause, until } from '../../support/system.ts'
import type { Cluster } from '../cluster.ts'
import type { Drill, Drilling } from '../drill.ts'
import { gather } from '../evidence.ts'
import { promisesKept, type Kept } from '../lateness.ts'
import { percentile } from '../polling.ts'
import { Users } from '../users.ts'

/** What law 9 allows, in ms, beside what the same videos wait for while nobody is bad. */
const delayMs = 2_000
const kinds = ['create', 'event', 'record'] as const

/** Videos of a tenant that have not ended. */
const openOf = async (cluster: Cluster, userId: string): Promise<number> =>
  (
    await cluster.query<{ n: number }>(
      `SELECT count(*)::int n FROM "SceneVideo" WHERE "userId" = $1 AND status IN ('pending', 'generating')`,
      [userId],
    )
  )[0]!.n

/** p99 of every kind for the videos that began at or after that instant, in ms. */
const latenessOf = (kept: Kept[]) =>
  new Map(
    kinds.map((kind) => [
      kind,
      percentile(
        kept.filter((one) => one.kind === kind).map((one) => one.ms),
        0.99,
      ),
    ]),
  )

/** One tenant's videos, a few a second, while the other one's account is like that. */
async function beside(drilling: Drilling, bad: BadProvider, way: BadProvider['way']) {
  const { cluster, quick, random } = drilling
  const [good, other] = cluster.tenants.map((tenant) => new Users(tenant, random))
  const count = quick ? 100 : 400
  other!.begin({ rate: 50 }, count)
  await other!.finish()
  bad.way = way
  const asked = { ...bad.asked }
  const begun = performance.now()
  good!.begin({ rate: 4 }, quick ? 60 : 240)
  await good!.finish()
  await until('the good tenant’s videos to end', async () =>
    (await openOf(cluster, good!.tenant.demo.userId)) === 0 ? true : undefined,
  ).catch((err: unknown) => drilling.breaches.push(`${way}: ${(err as Error).message}`))
  if (good!.accepted.size === 0 || (await openOf(cluster, other!.tenant.demo.userId)) < count / 2)
    if (way !== 'fine') drilling.breaches.push(`${way}: the other’s videos were not in hand`)
  const minutes = (performance.now() - begun) / 60_000
  const requests = bad.asked.creates + bad.asked.queries - asked.creates - asked.queries
  bad.way = 'fine'
  drilling.note(
    `${way}: requests a minute for each of the other’s ${count}`,
    (requests / minutes / count).toFixed(1),
  )
  const mine = promisesKept(await gather(cluster), [good!, other!], []).filter((one) =>
    good!.accepted.has(one.id),
  )
  for (const id of good!.accepted.keys()) drilling.users.accepted.set(id, 0)
  return { accept: percentile(good!.acceptMs, 0.99), kept: latenessOf(mine) }
}

export const tenants: Drill = {
  about: 'one tenant’s provider is bad in every way: nobody else waits for it',
  cluster: { pollers: 2 },
  async run(drilling) {
    const { cluster, quick } = drilling
    await using bad = await BadProvider.before(cluster.simulatorUrl)
    await cluster.addTenant('bad', bad.baseUrl)
    await cluster.simulator('/settings', { minSeconds: 10, maxSeconds: 20, tier: 'off' })
    const fair = await beside(drilling, bad, 'fine')
    for (const way of quick ? (['dripping', 'silent'] as const) : badWays) {
      await pause(quick ? 0 : 10_000)
      const now = await beside(drilling, bad, way)
      const all = [
        ['accept', now.accept, fair.accept] as const,
        ...kinds.map((kind) => [kind, now.kept.get(kind)!, fair.kept.get(kind)!] as const),
      ]
      for (const [kind, ms, fairMs] of all) {
        drilling.note(
          `${way}: ${kind}, p99, s (nobody bad: ${(fairMs / 1000).toFixed(1)})`,
          (ms / 1000).toFixed(1),
        )
        if (ms > fairMs + delayMs)
          drilling.breaches.push(`${way}: ${kind} is ${Math.round(ms - fairMs)} ms later at p99`)
      }
    }
    await drilling.judge()
  },
}
