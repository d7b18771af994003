/**
 * What must be ended however the bench ends: also after Ctrl-C no server, process or directory of
 * its stays.
 */

const open: Promise<AsyncDisposable>[] = []
let leaving = false
export const isLeaving = (): boolean => leaving

/**
 * Starts what `leave` ends in any case, even if it has not started yet by then; so it must stand
 * being ended twice. Once we leave nothing starts any more.
 */
export function endsWithUs<T extends AsyncDisposable>(start: () => Promise<T>): Promise<T> {
  if (leaving) return new Promise(() => {})
  const starting = start()
  open.push(starting)
  return starting
}

/** Ends everything, the newest first, and then this process. */
export async function leave(code: number): Promise<void> {
  if (leaving) return
  leaving = true
  for (const starting of open.toReversed())
    await starting.then((thing) => thing[Symbol.asyncDispose]()).catch(() => {})
  process.exit(code)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void leave(130))
