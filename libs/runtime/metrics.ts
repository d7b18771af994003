import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'

/** All that who counts needs of a counter. */
export type CounterLike<L extends string> = Pick<Counter<L>, 'inc'>

/** The event loop is looked at about once a scrape: the default wakes up 110 times a second. */
const eventLoop = { eventLoopMonitoringPrecision: 15_000, eventLoopUtilizationTimeout: 15_000 }

/**
 * One registry a service; the names are prefixed `reelkeeper_`, but for those of the process
 * (`process_…`, `nodejs_…`).
 */
export class Metrics {
  readonly registry = new Registry()

  constructor() {
    collectDefaultMetrics({ register: this.registry, ...eventLoop })
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter<L>({
      name: `reelkeeper_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
    })
  }

  /** `collect` sets it whenever it is read. */
  gauge<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (gauge: Gauge<L>) => void,
  ): Gauge<L> {
    return new Gauge<L>({
      name: `reelkeeper_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      ...(collect && {
        collect() {
          collect(this)
        },
      }),
    })
  }

  histogram<L extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    return new Histogram<L>({
      name: `reelkeeper_${name}`,
      help,
      buckets,
      labelNames: [...labelNames],
      registers: [this.registry],
    })
  }
}

/** Every consumer counts what it gives up on under one name. */
export const deadLetters = (metrics: Metrics) =>
  metrics.counter(
    'dead_letters_total',
    'Messages nobody can handle, moved to the dead-letter stream, by kind',
    ['kind'],
  )
