/**
 * A real nats-server of our own, with JetStream on files, on loopback. With a secret it lets in
 * only the users of libs/bus/permissions.ts, each with a password derived from that secret.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:net'
import { authorization } from '#libs/bus/permissions.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { findNatsServer } from './nats-binary.ts'
import { passwordOf } from './passwords.ts'
import { freePort } from './ports.ts'
import { endLeftover, spawnServer, type LocalServer } from './server-process.ts'

/**
 * A client that is gone without a word must not be handed requests for long: it is pinged often,
 * and dropped when it does not answer.
 */
const settings = ['ping_interval: "3s"', 'ping_max: 2', 'write_deadline: "5s"']

export async function startNats(options: {
  dir: string
  port?: number
  /** Without one the server is open: for tests of a part alone. */
  secret?: string
  say?: (line: string) => void
}): Promise<LocalServer> {
  const binary = await findNatsServer(options.say ?? (() => {}))
  const { dir, secret } = options
  mkdirSync(dir, { recursive: true })
  const pidFile = join(dir, 'nats.pid')
  if (existsSync(pidFile)) await endLeftover(Number(readFileSync(pidFile, 'utf8')), dir, 'SIGTERM')
  const port = options.port ?? (await freePort())
  const configFile = join(dir, 'nats.conf')
  const auth = secret && authorization((user) => JSON.stringify(passwordOf(secret, user)))
  writeFileSync(
    configFile,
    [
      `listen: "127.0.0.1:${port}"`,
      'server_name: reelkeeper',
      ...settings,
      `pid_file: ${JSON.stringify(pidFile)}`,
      `jetstream { store_dir: ${JSON.stringify(join(dir, 'data'))}, max_memory_store: 256MB, max_file_store: 20GB }`,
      auth ?? '',
    ].join('\n'),
    { mode: 0o600 },
  )
  chmodSync(configFile, 0o600) // one of an earlier run keeps its mode when written
  const server = spawnServer(binary, ['-c', configFile], {
    url: `nats://127.0.0.1:${port}`,
    port,
    stopSignal: 'SIGTERM',
  })
  let gone = false
  void server.exited.then(() => (gone = true))
  for (let i = 0; i < 300 && !gone; i++) {
    if (server.output().includes('Server is ready') && (await answers(port))) return server
    await sleep(20)
  }
  throw new Error(`nats-server did not start: ${server.output().slice(-2_000)}`)
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('data', (data) => {
      socket.destroy()
      resolve(data.toString().startsWith('INFO'))
    })
    socket.once('error', () => resolve(false))
  })
}
