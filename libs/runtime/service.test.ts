import { spawn } from 'node:child_process'
import { expect, it } from 'vitest'

const program = (start: string) => `
  import { runService, createService } from '#libs/runtime/service.ts'
  const keepAlive = setInterval(() => {}, 1000)
  process.nextTick(() => console.log('up'))
  await runService('test', ${start})`

/** Runs it, ends it as told once it is up; its exit code. */
function codeOf(start: string, end: 'SIGTERM' | 'parent gone'): Promise<number | null> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(start)], {
    cwd: process.cwd(),
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  child.stdout!.once('data', () => (end === 'SIGTERM' ? child.kill('SIGTERM') : child.disconnect()))
  return new Promise((resolve) => child.once('exit', resolve))
}

const never = '() => new Promise(() => {})'
const started = "async () => createService('test', async () => {})"

it.each(['SIGTERM', 'parent gone'] as const)(
  'ends at %s, started or still waiting for what it needs',
  async (end) => {
    expect(await codeOf(started, end)).toBe(0)
    expect(await codeOf(never, end)).toBe(0)
  },
)
