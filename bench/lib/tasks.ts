/**
 * Tasks at the bench's provider. A task is its id, `t_<runs from>_<ends at>_<progress step>_<n>`,
 * in milliseconds of the tasks' clock. That clock stands at 0 until the measurement starts it
 * (`begin`): so however long a contestant takes to start and load, all of them see the same tasks
 * in the same states at the same instants of the measurement, and none of it ends before.
 */

/** Beyond every measurement. */
export const neverMs = 1e9

/**
 * So many tasks of all ages: each lives for `lifeMs`, their ends are spread evenly over one life,
 * progress is told in steps of so many per cent.
 */
export interface Tasks {
  count: number
  lifeMs: number
  step: number
}

export const taskId = (runsAt: number, endsAt: number, step: number, n: number): string =>
  `t_${Math.round(runsAt)}_${Math.round(endsAt)}_${step}_${n}`

export function parseTask(id: string): { runsAt: number; endsAt: number; step: number; n: number } {
  const [, runsAt, endsAt, step, n] = id.split('_').map(Number)
  return { runsAt: runsAt!, endsAt: endsAt!, step: step!, n: n! }
}

export const tasksOfAllAges = ({ count, lifeMs, step }: Tasks): string[] =>
  Array.from({ length: count }, (_, n) =>
    taskId((lifeMs * (n + 0.5)) / count - lifeMs, (lifeMs * (n + 0.5)) / count, step, n),
  )

/** Tasks that run and say the same for ever. */
export const endlessTasks = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => taskId(-1_000, neverMs, 100, from + i))

/** Where, under the base URL, many tasks are asked for by one query. */
export const batchPath = '/videos/generations/batch'
