/**
 * Keeps processes running: one that ends unasked is started again, at once, then with a growing
 * pause.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { bootMs, sleep } from '#libs/runtime/clock.ts'
import { nodeArgsOf, ownEnvOf } from '#libs/runtime/node-args.ts'
import { readable, say } from './output.ts'

/** A started process, however it was started. */
export interface Running {
  pid: number
  exited: Promise<string>
  stop(): Promise<void>
}

const firstPause = 100
const longestPause = 5_000
const steadyAfter = 10_000
/** Milliseconds that each has to stop. */
const allowedMs = 15_000
/** Exit code of a service whose settings are wrong: starting it again would not help. */
const badSettings = 'exit 2'

export class Supervisor {
  readonly #running = new Map<string, Running>()
  readonly #starting = new Map<string, Promise<Running>>()
  readonly #changed: () => void
  readonly #say: (line: string) => void
  #stopping = false

  constructor(changed: () => void, tell: (line: string) => void = say) {
    this.#changed = changed
    this.#say = tell
  }

  processes(): { name: string; pid: number }[] {
    return [...this.#running].map(([name, { pid }]) => ({ name, pid }))
  }

  /** Once all stop nothing starts any more, and this never resolves. */
  async run(name: string, start: () => Promise<Running>): Promise<void> {
    await this.#begin(name, start)
    void this.#keep(name, start)
  }

  async #begin(name: string, start: () => Promise<Running>): Promise<void> {
    if (this.#stopping) return new Promise(() => {})
    const starting = start()
    this.#starting.set(name, starting)
    try {
      this.#set(name, await starting)
    } finally {
      this.#starting.delete(name)
    }
    if (this.#stopping) await (await starting).stop()
  }

  async #keep(name: string, start: () => Promise<Running>): Promise<void> {
    let pause = firstPause
    for (;;) {
      const since = bootMs()
      const how = await this.#running.get(name)!.exited
      if (this.#stopping) return
      if (how === badSettings)
        return this.#say(`${name} cannot run with these settings; not started again`)
      if (bootMs() - since > steadyAfter) pause = firstPause
      this.#say(`${name} died (${how}), starting it again`)
      await sleep(pause)
      pause = Math.min(longestPause, pause * 2)
      while (!this.#stopping) {
        try {
          await this.#begin(name, start)
          break
        } catch (err) {
          this.#say(`${name} did not start: ${(err as Error).message}`)
          await sleep(longestPause)
        }
      }
      if (this.#stopping) return
    }
  }

  #set(name: string, running: Running): void {
    this.#running.set(name, running)
    this.#changed()
  }

  /** Stops these at once, those that are starting, too; each is allowed 15 s. */
  async stop(names: (name: string) => boolean): Promise<void> {
    this.#stopping = true
    const starting = [...this.#starting].filter(([name]) => names(name))
    if (starting.length)
      await Promise.race([Promise.allSettled(starting.map(([, one]) => one)), sleep(allowedMs)])
    const chosen = [...this.#running].filter(([name]) => names(name))
    await Promise.all(
      chosen.map(async ([name, running]) => {
        const late = setTimeout(() => {
          this.#say(`${name} does not stop; killing it`)
          process.kill(running.pid, 'SIGKILL')
        }, allowedMs)
        await running.stop()
        clearTimeout(late)
      }),
    )
  }
}

/**
 * A service as a child process; it ends by itself when we are gone, as its channel to us closes.
 */
export function startService(
  name: string,
  file: string,
  env: NodeJS.ProcessEnv,
  tell: (line: string) => void = say,
): Running {
  const child = spawn(process.execPath, [...nodeArgsOf(name), file], {
    env: { ...ownEnvOf(name), ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream as Readable }).on('line', (line) => tell(readable(name, line)))
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit ${code}`))
    child.once('error', (err) => resolve(err.message))
  })
  return {
    pid: child.pid ?? 0,
    exited,
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
