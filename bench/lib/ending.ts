/** What must be ended however the bench ends: also after Ctrl-C no server, process or directory of its stays. */

const open: Promise<AsyncDisposable>[] = []

/** Ended by `leave` in any case, even if it has not started yet by then; so it must stand being ended twice. */
export function endsWithUs<T extends AsyncDisposable>(starting: Promise<T>): Promise<T> {
  open.push(starting)
  return starting
}

/** Ends everything, the newest first, and then this process. */
export async function leave(code: number): Promise<never> {
  for (const starting of open.toReversed()) await starting.then((thing) => thing[Symbol.asyncDispose]()).catch(() => {})
  process.exit(code)
}

let isLeaving = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (isLeaving) return
    isLeaving = true
    void leave(130)
  })
}
