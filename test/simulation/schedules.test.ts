/**
 * Schedules that once broke a law, each by itself in the world of the simulation: the same
 * services, nothing by chance.
 */
import { describe, expect, it } from 'vitest'
import { streams } from '#libs/bus/streams.ts'
import { Kit } from './kit.ts'

describe('a server that lost its power', () => {
  const powerFailure = (kit: Kit, ms: number) => {
    kit.broker.isUp = false
    kit.broker.rewind(ms)
    kit.laws.rewound(kit.broker.contentOf(streams.outbox))
    kit.brokerBack()
  }

  it('delays a video whose work was among what it lost by seconds', async () => {
    const kit = new Kit()
    kit.provider.lastsMs = 3_000
    await kit.pass(20_000)
    const pollers = ['poller-1', 'poller-2', 'poller-3'].map((name) => kit.running.get(name)!)
    for (const { process } of pollers) process.isolated = true
    const id = await kit.submit()
    await kit.until('submitted', () => kit.video(id).phase === 'submitted')
    powerFailure(kit, 1_000)
    for (const { process } of pollers) process.isolated = false
    await kit.until('completed', () => kit.video(id).status === 'completed', 40_000)
  })

  it('keeps every owner looking for what it owned, when the owner records are lost twice', async () => {
    const kit = new Kit()
    kit.provider.lastsMs = 15_000
    await kit.pass(20_000)
    const id = await kit.submit()
    await kit.until('generating', () => kit.video(id).status === 'generating')
    kit.kill('reconciler', Infinity)
    for (const _ of [1, 2]) {
      kit.broker.remake(streams.ownership, await kit.store.raiseGeneration())
      await kit.pass(3_000)
    }
    await kit.until('completed', () => kit.video(id).status === 'completed', 45_000)
    expect(kit.provider.tasks).toHaveLength(1)
  })
})
