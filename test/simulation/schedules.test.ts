/**
 * Schedules that once broke a law, each by itself in the world of the simulation: the same
 * services, nothing by chance.
 */
import { describe, expect, it } from 'vitest'
import { streams } from '#libs/bus/streams.ts'
import { revoke } from '#libs/ownership/records.ts'
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
    await kit.until('completed', () => kit.video(id).status === 'completed', 14_000)
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

describe('a promise to a person', () => {
  it('is kept when every message about it is lost', async () => {
    const kit = new Kit()
    kit.provider.lastsMs = 600_000
    await kit.pass(10_000)
    const id = await kit.submit()
    await kit.until('generating', () => kit.video(id).status === 'generating')
    kit.weather.nudgesLost = 1
    await kit.cancel(id)
    await kit.pass(20_000)
    kit.weather.nudgesLost = 0
    await kit.until('cancelled', () => kit.video(id).errorCode === 'cancelled', 5_000)
  })

  it.each(['slow', 'dripping', 'refusing_queries'] as const)(
    'is kept while a query is open: %s',
    async (way) => {
      const kit = new Kit()
      kit.provider.lastsMs = 600_000
      await kit.pass(10_000)
      const [unwanted, late] = [
        await kit.submit({}, 1),
        await kit.submit({ deadlineSeconds: 20 }, 1),
      ]
      await kit.until('owned', () => Boolean(kit.ownerOf(unwanted) && kit.ownerOf(late)))
      kit.provider.bad = way
      await kit.pass(15_000)
      await kit.cancel(unwanted)
      await kit.until('cancelled', () => kit.video(unwanted).errorCode === 'cancelled', 3_000)
      await kit.until('timed out', () => kit.video(late).errorCode === 'timed_out', 10_000)
    },
  )

  it('is kept for a video that submit died before handing over', async () => {
    const kit = new Kit()
    kit.provider.lastsMs = 600_000
    await kit.pass(10_000)
    kit.strikeAt = 'recordAcceptance'
    const id = await kit.submit()
    await kit.until('submitted', () => kit.video(id).phase === 'submitted')
    await kit.cancel(id)
    await kit.until('cancelled', () => kit.video(id).errorCode === 'cancelled', 20_000)
  })
})

describe('a submit that is gone', () => {
  it('is followed within half a minute where it died before queueing the poll', async () => {
    const kit = new Kit()
    kit.provider.lastsMs = 60_000
    await kit.pass(10_000)
    kit.kill('reconciler', Infinity)
    kit.strikeAt = 'recordAcceptance'
    const id = await kit.submit()
    await kit.until('submitted', () => kit.video(id).phase === 'submitted')
    await kit.until('generating', () => kit.video(id).status === 'generating', 30_000)
  })

  it.each(['submit-1', 'submit-2'])(
    'is followed within half a minute where it stands still with a video in hand: %s',
    async (name) => {
      const kit = new Kit()
      await kit.pass(10_000)
      kit.kill('reconciler', Infinity)
      const submits = ['submit-1', 'submit-2'].map((one) => kit.running.get(one)!.process)
      const { onChange } = kit.store
      kit.store.onChange = (video, kind, cause) => {
        onChange(video, kind, cause)
        if (kind === 'requested') for (const process of submits) process.pause()
      }
      // whoever accepted it may not live to say so
      void kit.submit().catch(() => {})
      await kit.until('accepted', () => submits.every(({ paused }) => paused))
      submits.find((process) => process.name !== name)!.resume()
      const [id] = kit.store.videos.keys()
      await kit.until('submitted', () => kit.video(id!).phase === 'submitted', 30_000)
    },
  )
})

describe('a slow account', () => {
  it('keeps its owners while its videos wait for their turn', async () => {
    const kit = new Kit({ queriesPerSecond: 0.25 })
    kit.lateness.judgesRecords = false
    kit.provider.lastsMs = 30_000
    await kit.pass(10_000)
    const ids: string[] = []
    for (let i = 0; i < 100; i++) ids.push(await kit.submit())
    // a turn of all takes 400 s, longer than the reconciler's patience
    const isOver = () => ids.every((id) => kit.video(id).status === 'completed')
    await kit.until('all ended', isOver, 20 * 60_000)
    expect(kit.world.log.filter((line) => line.includes('stuck task'))).toEqual([])
  })

  it('costs a few statements and queries a minute for each video that waits', async () => {
    const kit = new Kit()
    await kit.pass(10_000)
    const before = kit.statements
    await kit.pass(600_000)
    const idle = kit.statements - before
    kit.provider.bad = 'refusing'
    const count = 50
    for (let i = 0; i < count; i++) await kit.submit({}, 1)
    await kit.pass(60_000)
    const [from, asked] = [kit.statements, kit.provider.asked]
    await kit.pass(600_000)
    expect((kit.statements - from - idle) / count / 10).toBeLessThan(5)
    expect((kit.provider.asked - asked) / count / 10).toBeLessThan(2)
  })
})

describe('two tasks under one own id', () => {
  it('end the video, and keep it takeable', async () => {
    const kit = new Kit()
    kit.provider.lastsMs = 120_000
    kit.provider.hasTwoNames = true
    await kit.pass(10_000)
    kit.kill('submit-2', 20_000)
    const { onAccept } = kit.provider
    kit.provider.onAccept = (ownId, earlier) => {
      onAccept(ownId, earlier)
      const { process } = kit.running.get('submit-1')!
      process.pause()
      kit.world.schedule(45_000, null, () => process.resume())
    }
    const id = await kit.submit()
    await kit.until('found by own id', () => kit.video(id).taskId !== null, 44_000)
    await kit.pass(50_000)
    const owner = kit.ownerOf(id)!
    kit.kill(owner, 30_000)
    await kit.until('taken over', () => ![undefined, owner].includes(kit.ownerOf(id)), 20_000)
    await kit.until('completed', () => kit.video(id).status === 'completed', 120_000)
  })
})

describe('an owner', () => {
  it('drops a video that was taken from it, when it was not told', async () => {
    const kit = new Kit()
    kit.provider.lastsMs = 600_000
    await kit.pass(20_000)
    const id = await kit.submit()
    await kit.until('generating', () => kit.video(id).status === 'generating')
    const former = kit.running.get(kit.ownerOf(id)!)!.poller!
    const { epoch } = former.host.videos.get(id)!
    for (const name of ['reconciler', 'poller-1', 'poller-2', 'poller-3'])
      if (kit.running.get(name)!.poller !== former) kit.kill(name, Infinity)
    const { bus } = kit.running.get('status-1')!
    const record = { videoId: id, session: '', revision: BigInt(epoch) }
    void revoke(bus, record)
    await kit.until('dropped', () => former.host.videos.get(id)?.epoch !== epoch, 60_000)
  })

  it('that dies with a cancel not acted on leaves it to whoever takes over, within seconds', async () => {
    const kit = new Kit()
    kit.provider.lastsMs = 600_000
    await kit.pass(20_000)
    const id = await kit.submit()
    await kit.until('generating', () => kit.video(id).status === 'generating')
    kit.kill('reconciler', Infinity)
    const owner = kit.ownerOf(id)!
    kit.kill(owner, Infinity)
    void kit.cancel(id)
    await kit.until('cancelled', () => kit.video(id).status === 'failed', 15_000)
    expect(kit.video(id).errorCode).toBe('cancelled')
  })
})
