/** Inside a worker: answers the bench's questions, its vitals among them. */
import { setTimeout as wait } from 'node:timers/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Vitals } from './processes.ts'

process.on('disconnect', () => process.exit(0))
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()

async function vitals(): Promise<Vitals> {
  const { user, system } = process.cpuUsage()
  const [loopP99, loopMax] = [delay.percentile(99) / 1e6, delay.max / 1e6]
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await wait(20)
  }
  delay.reset()
  const { heapUsed, rss, external } = process.memoryUsage()
  return { heapUsed, rss, external, loopP99, loopMax, cpuMs: (user + system) / 1000 }
}

export function answering(answers: Record<string, (data: never) => unknown> = {}): void {
  const all: Record<string, (data: never) => unknown> = {
    vitals,
    cpu: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    ...answers,
  }
  process.on('message', async ({ id, question, data }: { id: number; question: string; data: never }) => {
    process.send?.({ re: id, answer: await all[question]?.(data) })
  })
  process.send?.('ready')
}

/** Latencies in ms; percentiles of all of them. */
export class Sample {
  #values: number[] = []
  add(ms: number): void {
    this.#values.push(ms)
  }
  take(): { count: number; p50: number; p99: number; max: number } {
    const sorted = Float64Array.from(this.#values).toSorted()
    this.#values = []
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
    return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
  }
}
