import { describe, expect, it, vi } from 'vitest'
import { backoffMs, jitteredBackoffMs } from './backoff.ts'
import { Batcher } from './batcher.ts'
import { systemClock } from './clock.ts'
import { every, Looks } from './every.ts'
import { eachLimited } from './limited.ts'

describe('every', () => {
  it('goes on after a failure, and ends with the run in hand when aborted', async () => {
    const stop = new AbortController()
    const failures: unknown[] = []
    let runs = 0
    let ended = false
    await every(
      systemClock,
      1,
      stop.signal,
      async () => {
        if (++runs < 3) throw new Error(String(runs))
        stop.abort()
        await new Promise((resolve) => setTimeout(resolve, 20))
        ended = true
      },
      (err) => failures.push((err as Error).message),
      0,
    )
    expect([runs, failures, ended]).toEqual([3, ['1', '2'], true])
  })

  it('runs nothing when it is aborted while it waits', async () => {
    const stop = new AbortController()
    const running = every(
      systemClock,
      60_000,
      stop.signal,
      () => Promise.reject(),
      () => expect.fail(),
    )
    stop.abort()
    await running
  })
})

it('looks rarely once several looks have found nothing, and often again when it is woken', async () => {
  vi.useFakeTimers()
  const at: number[] = []
  const begun = Date.now()
  const passed = () => Date.now() - begun
  const times = { clock: systemClock, everyMs: 1_000, idleMs: 10_000, onError: () => expect.fail() }
  const looks = new Looks(times, async () => at.push(passed()) === 1)
  await vi.advanceTimersByTimeAsync(17_500)
  expect(at).toEqual([1, 2, 3, 4, 5, 6, 16].map((s) => s * 1_000))
  looks.wake()
  await vi.advanceTimersByTimeAsync(2_000)
  expect(at.slice(7)).toEqual([17_500, 18_500, 19_500])
  await looks[Symbol.asyncDispose]()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

it('doubles up to the most, in whole milliseconds', () => {
  const backoff = { firstMs: 333, maxMs: 5_000 }
  expect([1, 2, 3, 4, 5, 1_000].map((n) => backoffMs(n, backoff))).toEqual([
    333, 666, 1332, 2664, 5000, 5000,
  ])
  for (const random of [0, 0.333, 0.999]) {
    const ms = jitteredBackoffMs(2, backoff, random)
    expect(Number.isInteger(ms) && ms >= 333 && ms <= 666).toBe(true)
  }
})

describe('a batcher', () => {
  const gathered = (waitMs: number) => {
    const batches: number[][] = []
    const handle = (batch: number[]) => void batches.push(batch)
    const batcher = new Batcher<number>({
      clock: systemClock,
      waitMs,
      maxSize: 10,
      sizeOf: (item) => item,
      handle,
    })
    return { batches, batcher }
  }

  it('hands over what fits, in order, and loses nothing', () => {
    const { batches, batcher } = gathered(60_000)
    for (const item of [4, 4, 4, 10, 3, 7, 50, 1]) batcher.add(item)
    batcher.flush()
    batcher.flush()
    expect(batches).toEqual([[4, 4], [4], [10], [3, 7], [50], [1]])
  })

  it('goes on gathering while as many as allowed are under way', async () => {
    const batches: number[][] = []
    const ends: (() => void)[] = []
    const batcher = new Batcher<number>({
      clock: systemClock,
      waitMs: 1,
      maxSize: 3,
      atOnce: 1,
      handle: (batch) => {
        batches.push(batch)
        return new Promise((end) => ends.push(end))
      },
    })
    for (const item of [1, 2, 3, 4, 5]) batcher.add(item)
    await new Promise((resolve) => setTimeout(resolve, 50))
    for (const item of [6, 7]) batcher.add(item)
    expect(batches).toEqual([[1, 2, 3]])
    for (const count of [2, 3]) {
      ends.at(-1)!()
      await vi.waitFor(() => expect(batches).toHaveLength(count))
    }
    expect(batches).toEqual([[1, 2, 3], [4, 5, 6], [7]])
  })

  it('hands over after its time', async () => {
    const { batches, batcher } = gathered(5)
    batcher.add(1)
    batcher.add(2)
    expect(batches).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(batches).toEqual([[1, 2]])
  })
})

describe('eachLimited', () => {
  it('has no more in hand than allowed', async () => {
    let inHand = 0
    let most = 0
    const seen: number[] = []
    await eachLimited([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++inHand)
      await new Promise((resolve) => setTimeout(resolve, item))
      seen.push(item)
      inHand--
    })
    expect(most).toBe(3)
    expect(seen.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  it('begins nothing after a failure, and rejects when those in hand have ended', async () => {
    const begun: number[] = []
    let ended = 0
    const running = eachLimited([1, 2, 3, 4], 2, async (item) => {
      begun.push(item)
      if (item === 1) throw new Error('one')
      await new Promise((resolve) => setTimeout(resolve, 20))
      ended++
    })
    await expect(running).rejects.toThrow('one')
    expect([begun, ended]).toEqual([[1, 2], 1])
  })
})
