/**
 * Processes of the bench: started by it, measured through /proc, ended by it. CPU is user + system
 * time, so that a busy neighbour changes little.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { nodeArgsOf, ownEnvOf } from '#libs/runtime/node-args.ts'

const ticksPerSecond = 100

function stat(pid: number): { ppid: number; cpuMs: number; reapedMs: number } | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
    const ms = (i: number) => (Number(fields[i]) * 1000) / ticksPerSecond
    return { ppid: Number(fields[1]), cpuMs: ms(11) + ms(12), reapedMs: ms(13) + ms(14) }
  } catch {
    return null
  }
}

/** CPU of a process and all it started, living or dead, in ms. */
export function cpuOfTree(pid: number): number {
  const stats = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const one = stat(Number(name))
        return one ? [[Number(name), one] as const] : []
      }),
  )
  const sum = (of: number): number => {
    const own = stats.get(of)
    if (!own) return 0
    let total = own.cpuMs + own.reapedMs
    for (const [child, { ppid }] of stats) if (ppid === of) total += sum(child)
    return total
  }
  return sum(pid)
}

export function rssOf(pid: number): number {
  try {
    return (
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
    )
  } catch {
    return 0
  }
}

export interface Vitals {
  heapUsed: number
  rss: number
  external: number
  /** Of the event loop since the last question, in ms. */
  loopP99: number
  loopMax: number
  /** The process's own CPU in ms, finer than /proc tells. */
  cpuMs: number
}

/** A Node process of the bench that answers questions over its channel. */
export class Worker implements AsyncDisposable {
  readonly child: ChildProcess
  readonly exited: Promise<void>
  readonly name: string
  output = ''
  #next = 0
  readonly #asked = new Map<number, (answer: never) => void>()

  constructor(file: string, env: Record<string, string>, args: string[] = []) {
    this.name = args[0] ?? file
    this.child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
      env: {
        ...process.env,
        LOG_LEVEL: 'warn',
        NODE_ENV: 'production',
        ...ownEnvOf(args[0] ?? ''),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [
        ...nodeArgsOf(args[0] ?? ''),
        '--expose-gc',
        ...(process.env['BENCH_PROF'] && args[0] === (process.env['BENCH_PROF_OF'] ?? 'poller')
          ? ['--cpu-prof', `--cpu-prof-dir=${process.env['BENCH_PROF']}`]
          : []),
      ],
    })
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on(
        'data',
        (chunk: Buffer) => (this.output = (this.output + chunk.toString()).slice(-20_000)),
      )
    this.exited = new Promise((resolve) => this.child.once('exit', () => resolve()))
    this.child.on('message', (message: { re?: number; answer?: never } | string) => {
      if (typeof message === 'object' && message.re !== undefined)
        this.#asked.get(message.re)?.(message.answer!)
    })
  }

  get pid(): number {
    return this.child.pid!
  }

  /** Until it says ready; with its output when it ends instead. */
  async ready(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.child.on('message', (message) => message === 'ready' && resolve())
      void this.exited.then(() => reject(new Error(`a process ended early: ${this.output}`)))
    })
    return this
  }

  ask<T = unknown>(question: string, data?: unknown): Promise<T> {
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      this.#asked.set(id, resolve as never)
      void this.exited.then(() => reject(new Error(`a process ended: ${this.output}`)))
      this.child.send({ id, question, data })
    })
  }

  vitals(): Promise<Vitals> {
    return this.ask<Vitals>('vitals')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM')
    const late = setTimeout(() => this.child.kill('SIGKILL'), 10_000)
    await this.exited
    clearTimeout(late)
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }
}
