import { pause, until } from '../../support/system.ts'
import type { Server } from '../proxy.ts'
import type { Drill, Drilling } from '../drill.ts'
import { away } from '../faults.ts'
import { secondsUntilPolled } from '../polling.ts'

const intervalMs = 1_000

/** Users who ask again and again for minutes are no abuse here. */
const patient = { RATE_LIMIT_PER_MINUTE: '1000000' }

/** A server is away for minutes under steady load. */
async function awayFor(drilling: Drilling, server: Server, ms: number): Promise<void> {
  const { cluster, users } = drilling
  await cluster.simulator('/settings', { minSeconds: 5, maxSeconds: 60, tier: 'off' })
  users.begin({ rate: 3, cancel: 0.03, retry: 0.05 })
  await pause(20_000)
  const accepted = users.accepted.size
  const before = new Map(users.answers)
  await away(cluster, server, ms)
  drilling.note(`${server} away, s`, Math.round(ms / 1000))
  drilling.note(
    'answers meanwhile',
    [...users.answers].map(([code, n]) => `${code}: ${n - (before.get(code) ?? 0)}`).join(', '),
  )
  const back = performance.now()
  const had = users.accepted.size
  await until(
    'a submission to be accepted again',
    () => (users.accepted.size > had ? true : undefined),
    60_000,
  )
  drilling.note(
    'from its return until a submission was accepted, s',
    ((performance.now() - back) / 1000).toFixed(1),
  )
  await secondsUntilPolled(cluster, intervalMs)
  drilling.note(
    'from its return until 95 % were polled in their interval, s',
    ((performance.now() - back) / 1000).toFixed(1),
  )
  await pause(20_000)
  await users.stop()
  drilling.note('accepted before and after', `${accepted}, ${users.accepted.size}`)
  await drilling.judge()
}

export const postgresAway: Drill = {
  about: 'Postgres cannot be reached for 5 minutes',
  cluster: { pollers: 2, env: patient },
  run: (drilling) => awayFor(drilling, 'postgres', drilling.quick ? 20_000 : 300_000),
}

export const natsAway: Drill = {
  about: 'nats-server cannot be reached for 5 minutes',
  cluster: { pollers: 2, env: patient },
  run: (drilling) => awayFor(drilling, 'nats', drilling.quick ? 20_000 : 300_000),
}
