import { expect, it, vi } from 'vitest'
import type { CancelAnswer, Control, Provider } from '#libs/provider/provider.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { askToCancel } from './cancel.ts'

const log = createLogger('test', 'silent')
const lives = { expectedMs: 1, resultLifeMs: 1 }
type Ask = (account: unknown, taskId: string, control: Control) => Promise<CancelAnswer>

function cancelled(
  can: 'any' | 'queued' | false,
  saidLast: 'queued' | 'running' | null,
  ask: Ask = async () => ({ kind: 'cancelled' }),
) {
  const cancel = vi.fn(ask)
  const provider = { can: { findByOwnId: false, cancel: can }, cancel } as unknown as Provider
  const account = { id: 'a', baseUrl: 'b', apiKey: 'k', provider, unreachable: '', lives }
  return { video: { id: 'v', taskId: 't', account, saidLast }, cancel }
}

it.each([
  ['any', 'running', 1],
  ['any', null, 1],
  ['queued', 'queued', 1],
  ['queued', 'running', 0],
  ['queued', null, 0],
  [false, 'queued', 0],
] as const)(
  'a provider that stops %s, of a task last said %s, is asked %i times',
  async (can, said, times) => {
    const { video, cancel } = cancelled(can, said)
    const how = await askToCancel(video, { clock: systemClock, log, isLeaseValid: () => true })
    expect(cancel).toHaveBeenCalledTimes(times)
    expect(how).toBe(times ? 'cancelled' : 'not_asked')
  },
)

it('waits for the answer no longer than a person would, and then takes its request back', async () => {
  const world = new World(1)
  let control: Control | undefined
  const { video } = cancelled('any', null, (_, __, given) => {
    control = given
    return new Promise(() => {})
  })
  const { clock } = new Process(world, 'poller')
  const answered = askToCancel(video, { clock, log, isLeaseValid: () => false })
  while (await world.step());
  expect(await answered).toBe('none')
  expect(control?.signal?.aborted).toBe(true)
  expect(control?.mayWrite?.()).toBe(false)
})
