import { expect, it, vi } from 'vitest'
import { BusUnavailable } from '#libs/bus/bus.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { grant } from '../../test/support/host-kit.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Claims, type ClaimsDeps } from './claims.ts'

const log = createLogger('test', 'silent')

const grantOf = (id: string) => ({ ...grant, id })

it('claims a video once at a time: a second bid would void the epoch that the first one is granted', async () => {
  const id = crypto.randomUUID()
  let epoch = 6n
  const ownership = {
    session: 's',
    connectionNo: 0,
    mayClaim: () => true,
    bid: vi.fn(async () => ++epoch),
    release: async () => {},
  }
  const host = { videos: new Map(), adopt: vi.fn() }
  const clock = {
    now: () => 0,
    random: () => 0.5,
    after: (_: number, then: () => void) => (queueMicrotask(then), () => {}),
  }
  const bus = { request: async () => ({ grants: [grantOf(id)], undecided: [] }) }
  const claims = new Claims({ bus, clock, ownership, host, log } as unknown as ClaimsDeps)
  expect(await Promise.all([claims.claim(id), claims.claim(id)])).toEqual(['granted', 'granted'])
  expect(ownership.bid).toHaveBeenCalledOnce()
  expect(host.adopt).toHaveBeenCalledOnce()
})

it('does not act on a claim that was written before a reconnect: the server may have lost it', async () => {
  const id = crypto.randomUUID()
  let now = 0
  const ownership = {
    session: 's',
    connectionNo: 0,
    mayClaim: () => true,
    bid: async () => (ownership.connectionNo++, 7n),
    release: async () => {},
  }
  const host = { videos: new Map(), adopt: vi.fn() }
  const clock = {
    now: () => now,
    random: () => 0.5,
    after: (ms: number, then: () => void) => ((now += ms), queueMicrotask(then), () => {}),
  }
  const bus = { request: async () => ({ grants: [grantOf(id)] }) }
  const claims = new Claims({ bus, clock, ownership, host, log } as unknown as ClaimsDeps)
  expect(await claims.claim(id)).toBe('undecided')
  expect(host.adopt).not.toHaveBeenCalled()
  ownership.bid = async () => 8n
  expect(await claims.claim(id)).toBe('granted')
})

it('makes an undecided claim again within two seconds, also when there was none for long', async () => {
  const world = new World(1)
  const { clock } = new Process(world, 'poller')
  const bids: number[] = []
  const ownership = {
    session: 's',
    mayClaim: () => true,
    bid: vi.fn(async () => bids.push(world.now) && null),
  }
  const host = { videos: new Map() }
  const claims = new Claims({ bus: {}, clock, ownership, host, log } as unknown as ClaimsDeps)
  const retrying = claims.retryUndecided()
  const pass = async (ms: number) => {
    clock.after(ms, () => {})
    const until = world.now + ms
    while (world.now < until && (await world.step()));
  }
  await pass(100_000)
  claims.claimAgain(['v'])
  await pass(2_000)
  expect(bids).toHaveLength(1)
  await pass(100_000)
  ownership.bid.mockRejectedValueOnce(new BusUnavailable('away'))
  expect(await claims.claim('v')).toBe('undecided')
  await pass(2_000)
  expect(bids).toHaveLength(2)
  await retrying[Symbol.asyncDispose]()
})
