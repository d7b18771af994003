/**
 * A server as a child process: known by its pid, ended by its pid, waited for until it is really
 * gone.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { sleep } from '#libs/runtime/clock.ts'

export interface LocalServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Resolves with a word on how it ended. */
  readonly exited: Promise<string>
  /** A clean stop. */
  stop(): Promise<void>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
}

export function spawnServer(
  command: string,
  args: string[],
  options: SpawnOptions & { url: string; port: number; stopSignal: NodeJS.Signals },
): LocalServer & { child: ChildProcess; output(): string } {
  const child = spawn(command, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  })
  let output = ''
  const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000))
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const exited = new Promise<string>((resolve) => {
    child.once('error', (err) => resolve(err.message))
    child.once('exit', (code, signal) => resolve(signal ?? `exit ${code}`))
  })
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
  }
  return {
    child,
    exited,
    url: options.url,
    port: options.port,
    pid: child.pid ?? 0,
    output: () => output,
    stop: () => end(options.stopSignal),
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: () => end(options.stopSignal),
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(
      existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '',
    )
  } catch {
    return false
  }
}

/**
 * Ends a server that an earlier, killed run left behind, if that pid still is one of `mark` (part
 * of its command line).
 */
export async function endLeftover(
  pid: number,
  mark: string,
  signal: NodeJS.Signals,
): Promise<void> {
  if (!Number.isInteger(pid) || pid <= 1 || !isAlive(pid)) return
  const commandLine = existsSync(`/proc/${pid}/cmdline`)
    ? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    : ''
  if (!commandLine.includes(mark)) return
  process.kill(pid, signal)
  for (let i = 0; i < 100 && isAlive(pid); i++) await sleep(100)
  if (isAlive(pid)) process.kill(pid, 'SIGKILL')
}
