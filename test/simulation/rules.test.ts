/** Rules that only a rare coincidence would show in a whole world, each by itself. */
import { expect, it, vi } from 'vitest'
import { Ownership } from '#libs/bus/lease.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { submitVideo, type SubmitContext } from '#services/submit/submit-video.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus } from './memory-bus.ts'
import { Process, World } from './world.ts'

const log = createLogger('test', 'silent')

/** The result, with the world going on until it is there. */
async function within<T>(world: World, promise: Promise<T>): Promise<T> {
  let done = false
  void promise.finally(() => (done = true)).catch(() => {})
  while (!done && (await world.step()));
  return promise
}

it('takes no video by a consent that was given for an earlier epoch', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const open = async (name: string) => {
    const process = new Process(world, name)
    const bus = memoryBus(process, broker, { loss: 0, slow: 0, longest: 10 })
    const ownership = new Ownership({ bus, clock: process.clock, log, name, ttlMs: 6_000, owned: () => 0, onLost: () => {}, onPeerDead: () => {}, onAudit: () => {} })
    await within(world, ownership.start())
    return ownership
  }
  const [giver, taker] = [await open('giver'), await open('taker')]
  const given = (await within(world, giver.claim('v')))!
  const again = (await within(world, giver.claim('v')))!
  expect(again).toBeGreaterThan(given)
  expect(await within(world, taker.claim('v', { session: giver.session, epoch: given }))).toBeNull()
  expect(await within(world, taker.claim('v', { session: giver.session, epoch: again }))).toBeGreaterThan(again)
})

it('sends nothing when writing the intent took longer than the send window', async () => {
  const key: Keyring = [Buffer.alloc(32, 1)]
  let now = 0
  const video = { id: 'v', status: 'pending', attempt: 1, provider: 'toapis', taskId: null, restoredAt: null, cancelRequested: false, params: {}, model: 'm', prompt: 'p' }
  const create = vi.fn(async () => ({ kind: 'accepted', taskId: 't' }))
  const answered = vi.fn(async () => {})
  const context = {
    config: { SEND_WINDOW_MS: 1_000, LOOKUP_WINDOW_MS: 6_000, KEY_ENCRYPTION_KEY: key, TOAPIS_BASE_URL: 'https://example.com/v1', TOAPIS_API_KEY: 'sk-x' },
    log, clock: { now: () => now, random: () => 0.5 }, throttledUntil: new Map(), provider: { name: 'toapis', create },
    store: {
      load: async () => ({ video, submissions: [], config: { baseUrl: 'https://example.com/v1', keyCipher: encrypt('sk-x', key) }, ageMs: [], untilDeadlineMs: null }),
      touch: async () => {}, answered,
      intend: async () => ((now += 1_001), true),
    },
  } as unknown as SubmitContext
  await expect(submitVideo(context, 'v')).rejects.toThrow('again in 0 ms')
  expect(create).not.toHaveBeenCalled()
  expect(answered).toHaveBeenCalledWith('v', 1, 1, 'later', expect.any(String))
})
