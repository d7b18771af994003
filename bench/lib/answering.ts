/** Inside a worker: answers the bench's questions, its vitals among them. */
import { setTimeout as wait } from 'node:timers/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Vitals } from './processes.ts'

process.on('disconnect', () => process.exit(0))
/** Often enough to see delays of tens of ms, and rare enough to cost nothing. Node counts it in. */
const resolution = 20
const delay = monitorEventLoopDelay({ resolution })
delay.enable()

async function vitals(): Promise<Vitals> {
  const { user, system } = process.cpuUsage()
  const [loopP99, loopMax] = [delay.percentile(99) / 1e6 - resolution, delay.max / 1e6 - resolution]
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
  process.on(
    'message',
    async ({ id, question, data }: { id: number; question: string; data: never }) => {
      process.send?.({ re: id, answer: await all[question]?.(data) })
    },
  )
  process.send?.('ready')
}
