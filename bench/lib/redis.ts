/**
 * Redis for BullMQ, where it is installed; as durable as BullMQ's documentation advises for queues:
 * an append-only file, synced every second.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { freePort } from '#services/dev/servers/ports.ts'
import { spawnServer, type LocalServer } from '#services/dev/servers/server-process.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { endsWithUs } from '../../test/support/ending.ts'

export const hasRedis = (): boolean => spawnSync('redis-server', ['--version']).status === 0

export const startRedis = (dir: string): Promise<LocalServer> => endsWithUs(() => start(dir))

async function start(dir: string): Promise<LocalServer> {
  mkdirSync(dir)
  const port = await freePort()
  const server = spawnServer(
    'redis-server',
    [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--appendonly',
      'yes',
      '--save',
      '',
      '--maxmemory-policy',
      'noeviction',
    ],
    { url: '', port, stopSignal: 'SIGTERM' },
  )
  for (let i = 0; i < 200; i++) {
    if (server.output().includes('Ready to accept')) return server
    await sleep(50)
  }
  await server.stop()
  throw new Error(`redis-server did not start: ${server.output().slice(-1_000)}`)
}
