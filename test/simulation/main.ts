/**
 * `npm run simulate -- --seeds N --steps N --seed S [--trace] [--stop]`: many runs.
 *
 * They are spread over the cores; the first broken law ends a run, and with `--stop` all of them.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { asked, numberOf } from '../../cli/command.ts'
import { simulate, type Outcome } from './simulate.ts'

interface Share {
  seeds: number[]
  steps: number
}

async function work({ seeds, steps }: Share): Promise<void> {
  for (const seed of seeds) parentPort!.postMessage(await simulate({ seed, steps }))
}

/** Runs all seeds; calls back for each outcome. */
export async function simulateAll(
  seeds: number[],
  steps: number,
  each: (outcome: Outcome) => void,
): Promise<void> {
  const threads = Math.min(seeds.length, availableParallelism())
  await Promise.all(
    Array.from(
      { length: threads },
      (_, thread) =>
        new Promise<void>((resolve, reject) => {
          const share: Share = { seeds: seeds.filter((_seed, i) => i % threads === thread), steps }
          const worker = new Worker(new URL(import.meta.url), { workerData: share })
          worker.on('message', each)
          worker.once('error', reject)
          worker.once('exit', () => resolve())
        }),
    ),
  )
}

const usage = 'npm run simulate -- [--seeds 100] [--steps 10000] [--seed 1] [--trace] [--stop]'

function options() {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      steps: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      trace: { type: 'boolean' },
      stop: { type: 'boolean' },
    },
  })
  const count = numberOf('--seeds', values.seeds)
  const steps = numberOf('--steps', values.steps)
  return { count, steps, first: numberOf('--seed', values.seed), values }
}

async function main(): Promise<void> {
  const { count, steps, first, values } = asked(usage, options)
  if (values.trace) {
    const { log, ...outcome } = await simulate({ seed: first, steps, keepLog: true })
    process.stdout.write(`${log.join('\n')}\n${JSON.stringify(outcome)}\n`)
    process.exit(outcome.broken ? 1 : 0)
  }
  const begun = performance.now()
  const outcomes: Outcome[] = []
  await simulateAll(
    Array.from({ length: count }, (_, i) => first + i),
    steps,
    (outcome) => {
      outcomes.push(outcome)
      if (outcome.broken) process.stdout.write(`seed ${outcome.seed}: law ${outcome.broken}\n`)
      if (outcome.broken && values.stop) process.exit(1)
      else if (outcomes.length % 10 === 0)
        process.stdout.write(`${outcomes.length}/${count} seeds\n`)
    },
  )
  const sum = (of: (outcome: Outcome) => number) =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0)
  const faults = Object.groupBy(
    outcomes.flatMap((outcome) => Object.entries(outcome.faults)),
    ([kind]) => kind,
  )
  const broken = outcomes.filter((outcome) => outcome.broken)
  process.stdout.write(
    [
      `${count} seeds from ${first}, ${sum((one) => one.steps)} steps in ${((performance.now() - begun) / 1000).toFixed(1)} s, ${sum((one) => one.virtualSeconds)} simulated seconds`,
      `all ended at most ${Math.max(...outcomes.map((one) => one.restSeconds))} simulated seconds after the last fault`,
      `${sum((one) => one.videos)} videos, ${sum((one) => one.ended)} ended; ${sum((one) => one.stored)} files stored, ${sum((one) => one.lost)} lost; faults: ${Object.entries(
        faults,
      )
        .map(([kind, all]) => `${kind} ${all!.reduce((total, [, n]) => total + n, 0)}`)
        .join(', ')}`,
      `due with nothing in the way at most: ${(['cancel', 'deadline', 'record'] as const)
        .map((kind) => `${kind} ${Math.max(...outcomes.map(({ late }) => late[kind]))} ms`)
        .join(', ')}`,
      broken.length
        ? `BROKEN by seeds ${broken.map((one) => one.seed).join(', ')}; one again with: npm run simulate -- --seed ${broken[0]!.seed} --steps ${steps} --trace`
        : 'no law broken',
      '',
    ].join('\n'),
  )
  process.exit(broken.length ? 1 : 0)
}

if (isMainThread) {
  if (import.meta.main) await main()
} else await work(workerData as Share)
