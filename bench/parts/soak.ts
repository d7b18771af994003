/**
 * Soak: short videos, a new one for each that ends, for a long time. The heap after a forced
 * collection, every minute; it should be flat.
 */
import { sleep } from '#libs/runtime/clock.ts'
import { startContestant } from '../lib/contestants.ts'
import { Lab } from '../lib/lab.ts'
import { slope, table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { taskId } from '../lib/tasks.ts'

interface Reading {
  minute: number
  ended: number
  /** By process, in MB. */
  heap: Record<string, number>
  rss: Record<string, number>
}

export interface Soak {
  minutes: number
  inFlight: number
  readings: Reading[]
  /** Growth of the heap in KB a minute, by least squares over all but the first fifth. */
  slopes: Record<string, number>
}

const lifeMs = 60_000
const readEveryMs = 60_000

async function soak({ quick, options: { minutes }, say }: Context): Promise<Soak> {
  const inFlight = quick ? 500 : 3_000
  await using lab = await Lab.open()
  await using running = await startContestant(lab, 'reelkeeper')
  let ended = 0
  await running.onEnd(() => ended++)
  const beganAt = await lab.begin()

  let made = 0
  const begun = performance.now()
  const endAt = begun + minutes * 60_000
  const feed = async () => {
    while (performance.now() < endAt) {
      const due = Math.floor(((performance.now() - begun) * inFlight) / lifeMs) - made
      const now = Date.now() - beganAt
      await running.load(Array.from({ length: due }, () => taskId(now, now + lifeMs, 10, made++)))
      await sleep(1_000)
    }
  }
  const readings: Reading[] = []
  const watch = async () => {
    for (let n = 1; performance.now() < endAt; n++) {
      await sleep(Math.max(0, Math.min(begun + n * readEveryMs, endAt) - performance.now()))
      const vitals = await Promise.all(
        running.workers.map(async (worker) => [worker.name, await worker.vitals()] as const),
      )
      const mb = (of: 'heapUsed' | 'rss') =>
        Object.fromEntries(vitals.map(([name, one]) => [name, one[of] / 2 ** 20]))
      readings.push({
        minute: (performance.now() - begun) / 60_000,
        ended,
        heap: mb('heapUsed'),
        rss: mb('rss'),
      })
      say(
        `minute ${text(readings.at(-1)!.minute)} of ${minutes}, ${text(ended)} ended, heap MB ${Object.entries(
          readings.at(-1)!.heap,
        )
          .map(([name, heap]) => `${name} ${text(heap, 1)}`)
          .join(', ')}`,
      )
    }
  }
  await Promise.all([feed(), watch()])
  const steady = readings.slice(Math.ceil(readings.length / 5))
  const slopes = Object.fromEntries(
    running.workers.map(({ name }) => [
      name,
      slope(steady.map((one) => [one.minute, one.heap[name]! * 1024])),
    ]),
  )
  return { minutes, inFlight, readings, slopes }
}

export const soakPart = part<Soak>({
  name: 'soak',
  title: 'Soak',
  longOnly: true,
  run: soak,
  seconds: ({ options }) => 15 + options.minutes * 60,
  words({ minutes, inFlight, readings, slopes }) {
    const lines = Object.entries(slopes).map(([name, kb]) => [
      name,
      text(readings[Math.ceil(readings.length / 5)]?.heap[name], 1),
      text(readings.at(-1)?.heap[name], 1),
      text(kb, 1),
      text(readings.at(-1)?.rss[name]),
    ])
    return `${text(readings.at(-1)?.ended)} videos ended in ${text(minutes, 1)} minutes, about ${text(inFlight)} in flight.\n\n${table(['process', 'heap MB early', 'at the end', 'growth KB/minute', 'RSS MB'], lines)}`
  },
})
