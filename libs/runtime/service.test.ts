import { spawn } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { startService } from './service.ts'

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

const program = (start: string) => `
  import { runService, createService } from '#libs/runtime/service.ts'
  const keepAlive = setInterval(() => {}, 1000)
  process.nextTick(() => console.log('up'))
  await runService('test', ${start})`

/** Runs it, ends it as told once it is up; its exit code. */
type End = 'SIGTERM' | 'parent gone' | 'reader gone'
function codeOf(start: string, end: End): Promise<number | null> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(start)], {
    cwd: process.cwd(),
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  child.stdout!.once('data', () => {
    if (end === 'reader gone') child.stdout!.destroy()
    if (end === 'SIGTERM') child.kill('SIGTERM')
    else child.disconnect()
  })
  // one that does not end is not left behind: its code is null then
  const killer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  return new Promise<number | null>((resolve) => child.once('exit', resolve)).finally(() =>
    clearTimeout(killer),
  )
}

const never = '() => new Promise(() => {})'
const started = "async () => createService('test', async () => {})"

it.each(['SIGTERM', 'parent gone', 'reader gone'] as const)(
  'ends at %s, started or still waiting for what it needs',
  async (end) => {
    expect(await codeOf(started, end)).toBe(0)
    expect(await codeOf(never, end)).toBe(0)
  },
)

describe('a service', () => {
  const config = { LOG_LEVEL: 'silent', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0 }
  const traced = (trace: string[], name: string) => ({
    async [Symbol.asyncDispose]() {
      trace.push(name)
    },
  })

  it('stops in reverse, once, however often it is asked', async () => {
    const trace: string[] = []
    const service = await startService({ name: 'test', config }, async ({ stack }) => {
      stack.use(traced(trace, 'database'))
      stack.use(traced(trace, 'work'))
      return {}
    })
    await Promise.all([service[Symbol.asyncDispose](), service[Symbol.asyncDispose]()])
    await service.closed
    expect(trace).toEqual(['work', 'database'])
  })

  it('closes what was open when a later step of its start throws', async () => {
    const trace: string[] = []
    const starting = startService({ name: 'test', config }, async ({ stack }) => {
      stack.use(traced(trace, 'database'))
      throw new Error('no')
    })
    await expect(starting).rejects.toThrow('no')
    expect(trace).toEqual(['database'])
  })

  it('closes everything although a step of stopping throws', async () => {
    const trace: string[] = []
    const service = await startService({ name: 'test', config }, async ({ stack }) => {
      stack.use(traced(trace, 'database'))
      stack.defer(() => Promise.reject(new Error('no')))
      return {}
    })
    await expect(service[Symbol.asyncDispose]()).rejects.toThrow('no')
    await expect(service.closed).rejects.toThrow('no')
    expect(trace).toEqual(['database'])
  })

  it('is live while it waits, and stops when it is told to', async () => {
    const port = await freePort()
    const stop = new AbortController()
    const starting = startService(
      { name: 'test', config: { ...config, HEALTH_PORT: port }, signal: stop.signal },
      async ({ signal }) => {
        await new Promise((_, reject) => (signal.onabort = () => reject(signal.reason)))
        return {}
      },
    )
    const asked = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
    await expect
      .poll(() =>
        asked('/livez').then(
          (one) => one.status,
          () => 0,
        ),
      )
      .toBe(200)
    expect((await asked('/readyz')).status).toBe(503)
    expect(await (await asked('/metrics')).text()).toContain('process_cpu_seconds_total')
    stop.abort()
    await expect(starting).rejects.toThrow('aborted')
    await expect(asked('/livez')).rejects.toThrow()
  })
})
