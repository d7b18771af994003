/**
 * What must be ended however a bench or a drill ends: also after Ctrl-C, SIGTERM or SIGHUP no
 * server, process or directory of its stays. A second signal hurries.
 */
const open: Promise<AsyncDisposable>[] = []
const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
let listening = false
let leaving = false
export const isLeaving = (): boolean => leaving

/**
 * Starts what `leave` ends in any case, even if it has not started yet by then; so it must stand
 * being ended twice. Once we leave nothing starts any more.
 */
export function endsWithUs<T extends AsyncDisposable>(start: () => Promise<T>): Promise<T> {
  if (leaving) return new Promise(() => {})
  listen()
  const starting = start()
  open.push(starting)
  return starting
}

/** Runs `main` as this process, whose exit code it tells, to its end or to a signal. */
export async function runToEnd(main: () => Promise<number>): Promise<void> {
  listen()
  const code = await main().catch((err: unknown) => {
    if (!leaving) process.stderr.write(`${(err as Error).stack}\n`)
    return 1
  })
  await leave(code)
}

/** Ends everything, the newest first, and then this process. */
export async function leave(code: number): Promise<void> {
  if (leaving) return
  leaving = true
  // of what is ended under the hands of those who use it
  process.on('unhandledRejection', () => {})
  for (const starting of open.toReversed())
    await starting.then((thing) => thing[Symbol.asyncDispose]()).catch(() => {})
  process.exit(code)
}

function listen(): void {
  if (listening) return
  listening = true
  for (const [signal, code] of Object.entries(codes))
    process.on(signal, () => (leaving ? process.exit(code) : void leave(code)))
}
