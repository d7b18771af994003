import { expect, it, vi } from 'vitest'
import type { Bus } from '#libs/bus/bus.ts'
import { BusUnavailable } from '#libs/bus/bus.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Report } from '#libs/scene-video/messages.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Reporter } from './reporter.ts'

function reporterIn(world: World) {
  const warn = vi.fn<() => void>()
  const stored: Report[] = []
  const nats = { isAway: false }
  const store = async (_: string, data: string) => {
    if (nats.isAway) throw new BusUnavailable('away')
    return stored.push(...(JSON.parse(data) as Report[]))
  }
  const { clock } = new Process(world, 'poller')
  const [bus, log] = [{ store } as unknown as Bus, { warn } as unknown as Logger]
  return { reporter: new Reporter({ bus, clock, log }), nats, stored, warn }
}

const reportOf = (n: number): Report => ({
  id: `v${n}`,
  attempt: 1,
  epoch: '1',
  no: 1,
  change: null,
})

async function pass(world: World, ms: number): Promise<void> {
  const until = world.now + ms
  while (world.now < until && (await world.step()));
}

it('says once in an outage that reports wait, and stores all of them after it', async () => {
  const world = new World(1)
  const { reporter, nats, stored, warn } = reporterIn(world)
  for (const outages of [1, 2]) {
    nats.isAway = true
    stored.length = 0
    const all = Array.from({ length: 100 }, (_, n) => reporter.store(reportOf(n), () => true))
    await pass(world, 300_000)
    expect(warn).toHaveBeenCalledTimes(outages)
    nats.isAway = false
    await pass(world, 2_000)
    expect(await Promise.all(all)).toEqual(all.map(() => true))
    expect(stored).toHaveLength(100)
  }
})

it('gives up what nobody wants any more', async () => {
  const world = new World(1)
  const { reporter, nats, stored } = reporterIn(world)
  nats.isAway = true
  let isWanted = true
  const one = reporter.store(reportOf(1), () => isWanted)
  await pass(world, 10_000)
  isWanted = false
  await pass(world, 1_000)
  expect(await one).toBe(false)
  expect(stored).toEqual([])
})
