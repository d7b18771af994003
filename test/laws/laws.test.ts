/**
 * The laws as a stranger sees them, while it happens: one tenant's provider account is bad, then
 * processes and servers are killed, and everybody goes on asking.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaults } from '#services/provider-simulator/settings.ts'
import { storedEvents } from '../chaos/evidence.ts'
import { secondCreates } from '../chaos/judge.ts'
import { badWays } from '../support/bad-provider.ts'
import { pause, until } from '../support/system.ts'
import { Stage } from './stage.ts'

const stage = new Stage()
beforeAll(() => stage.start())
afterAll(() => stage[Symbol.asyncDispose]())

/** Generous: the machine may be busy. What breaks a law here waits for minutes, or for ever. */
const soon = 60_000

describe('9: nobody waits for somebody else', () => {
  it.each(badWays)('while an account is %s', async (way) => {
    const { good, bad, provider } = stage
    await bad.submitMany(5, 'a kite')
    provider.way = way
    try {
      await bad.submitMany(20, 'a kite')
      const ids = await good.submitMany(5, 'a boat')
      const videos = await good.ended(ids, soon)
      expect(videos.map((video) => video.status)).toEqual(ids.map(() => 'completed'))
    } finally {
      provider.way = 'fine'
    }
  })
})

describe('4: what was promised is carried out', () => {
  // what waited for its account's circuit is not made under the settings that follow
  beforeAll(async () => {
    await stage.resetCircuit()
    await stage.bad.ended(stage.bad.accepted, 480_000)
  }, 500_000)

  it.each(['dripping', 'silent', 'refusing'] as const)('while a provider is %s', async (way) => {
    const { bad, provider } = stage
    await stage.system.simulate({ minSeconds: 300, maxSeconds: 300 })
    const unwanted = await bad.submit('a kite')
    const late = await bad.submit('a kite', { deadlineSeconds: 8 })
    const isPolled = async () => (await bad.video(unwanted)).status === 'generating' || undefined
    await until('it to be polled', isPolled, 120_000)
    provider.way = way
    try {
      await pause(1_500)
      expect(await bad.command(unwanted, 'cancel')).toBe(202)
      const [one, two] = await bad.ended([unwanted, late], soon)
      expect([one!.error?.code, two!.error?.code]).toEqual(['cancelled', 'timed_out'])
    } finally {
      provider.way = 'fine'
      await stage.system.simulate({ minSeconds: 3, maxSeconds: 5 })
    }
  })
})

/** Everybody asks, a provider is bad, and a process or a server is killed, one after another. */
async function goOnAsking(): Promise<void> {
  const { good, bad, system, provider } = stage
  const faults = { acceptThenReset: 0.1, acceptThenTimeout: 0.05, status500: 0.05, malformed: 0.05 }
  await system.simulate({ faults })
  const retried: string[] = []
  for (const [i, victim] of ['poller-1', 'submit', 'status', 'nats', 'postgres'].entries()) {
    provider.way = badWays.at(-1 - i)!
    const asked = [good.submitMany(6, 'a boat'), bad.submitMany(3, 'a kite')]
    retried.push(await good.submit('[fail] a boat'))
    await good.submit('[unknown] a boat')
    await system.kill9(victim)
    await Promise.all(asked)
  }
  provider.way = 'fine'
  await system.simulate({ faults: defaults.faults })
  await stage.resetCircuit()
  await good.ended(retried, 240_000)
  for (const id of retried) await good.command(id, 'retry')
}

describe('while processes and servers are killed', () => {
  beforeAll(goOnAsking, 600_000)
  const everybody = () => [stage.good, stage.bad]

  it('4: everything accepted ends', async () => {
    for (const one of everybody()) await one.ended(one.accepted, 240_000)
  }, 500_000)

  it('1: paid once', async () => {
    expect(secondCreates(await stage.ledger())).toEqual([])
  })

  it('2: no effect is caused by an owner that is none any more', async () => {
    for (const one of everybody())
      for (const id of one.accepted) {
        const epochs = (await one.timeline(id)).map(({ epoch }) => BigInt(String(epoch ?? 0)))
        const known = epochs.filter((epoch) => epoch > 0n)
        expect(known, id).toEqual(known.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)))
      }
  })

  it('3: forward only, with one end an attempt, each stored once', async () => {
    const events = await storedEvents(stage.system.dev.natsUrl)
    for (const [id, own] of Map.groupBy(events, (event) => event.id)) {
      const versions = own.map((event) => event.version)
      expect(versions, id).toEqual(versions.map((_, i) => i + 1))
    }
    for (const one of everybody())
      for (const video of await one.all()) {
        const ends = (await one.timeline(video.id)).filter(({ kind }) =>
          ['completed', 'failed'].includes(String(kind)),
        )
        const attempts = Array.from({ length: video.attempt }, (_, i) => i + 1)
        expect(
          ends.map((end) => end['attempt']),
          video.id,
        ).toEqual(attempts)
      }
  })

  it('5: an event implies its record, and 7: is nobody else’s', () => {
    expect(stage.heard.length).toBeGreaterThan(200)
    expect(stage.breaches).toEqual([])
  })

  it('6: what a provider did not say is not recorded', async () => {
    const said = new Map((await stage.ledger()).map((task) => [task.task_id, task.status]))
    for (const one of everybody())
      for (const { id, status, taskId, error } of await one.all())
        if (status === 'completed' || error?.code === 'provider_failed')
          expect(said.get(taskId!), id).toBe(status)
  })

  it('7: each has its own result, and no key is told', async () => {
    const ownIds = new Map(
      (await stage.ledger()).map((task) => [task.task_id, task.client_business_id]),
    )
    for (const one of everybody())
      for (const { id, status, taskId, videoUrl } of await one.all()) {
        if (status !== 'completed') continue
        expect(ownIds.get(taskId!)?.slice(0, 36)).toBe(id)
        expect(videoUrl).toContain(`/${taskId}.mp4`)
      }
    const told = `${stage.heard.map((one) => one.text).join('\n')}\n${stage.system.output}`
    expect(told).not.toContain('sk-of-bad')
  })
})
