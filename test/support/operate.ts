/** The operator's command line, as a process of its own. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

/** How it ended, and what it printed. */
export function command(
  env: NodeJS.ProcessEnv,
  args: string[],
  cwd?: string,
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, ...args], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...said })))
}

/** What it printed. @throws when it fails */
export async function operate(env: NodeJS.ProcessEnv, args: string[]): Promise<string> {
  const { code, out, err } = await command(env, args)
  if (code !== 0) throw new Error(`${args.join(' ')}: ${out}${err}`)
  return out
}
