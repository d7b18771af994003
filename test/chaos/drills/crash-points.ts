import { defaults } from '#services/provider-simulator/settings.ts'
import { crashPoints } from '#libs/runtime/crash-point.ts'
import type { Drill } from '../drill.ts'
import { crashAt, kill } from '../faults.ts'

export const crashPointsDrill: Drill = {
  about: 'a process dies at every named point between two effects',
  cluster: { pollers: 3, skewMs: 30_000 },
  async run(drilling) {
    const { cluster, users, quick, tell } = drilling
    await cluster.simulator('/settings', {
      minSeconds: 3,
      maxSeconds: 12,
      tier: 'off',
      lookupLagMs: 300,
      faults: { acceptThenReset: 0.03, status500: 0.03 },
    })
    const fired = new Map<string, number>()
    let done = false
    users.begin(
      {
        rate: quick ? 12 : 8,
        cancel: 0.05,
        retry: 0.1,
        deadline: 0.03,
        prompts: ['a boat', 'a kite', 'a train', '[fail] a boat'],
      },
      quick ? 250 : 1_000,
    )
    const submitted = users.finish().then(() => (done = true))
    const rounds = quick ? 1 : 3
    for (let round = 0; round < rounds || (!quick && !done); round++) {
      for (const point of crashPoints) {
        const dies = crashAt(cluster, point, 12_000)
        if (point === 'session-ended') await kill(cluster, `poller-${1 + (round % 3)}`, 'SIGTERM')
        if (await dies) fired.set(point, (fired.get(point) ?? 0) + 1)
        tell(
          `${point}: fired ${fired.get(point) ?? 0} times, ${users.accepted.size} videos accepted`,
        )
      }
    }
    await submitted
    await cluster.simulator('/settings', {
      lookupLagMs: 0,
      faults: defaults.faults,
    })
    drilling.note(
      'crashes at named points',
      [...fired.values()].reduce((a, b) => a + b, 0),
    )
    const never = crashPoints.filter((point) => !fired.has(point))
    drilling.note('points that never fired', never.length ? never.join(', ') : 0)
    drilling.breaches.push(...never.map((point) => `nobody came by crash point ${point}`))
    await drilling.judge()
  },
}
