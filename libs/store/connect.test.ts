/** A session that Postgres ends while it is being taken, by a server that is none. */
import { spawn } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { expect, it } from 'vitest'

const message = (type: string, body: Buffer) => {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const welcome = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))])
const farewell = message(
  'E',
  Buffer.from('SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'),
)

const program = (port: number) => `
  import { openDatabase } from '#libs/store/connect.ts'
  import { isOutage } from '#libs/store/errors.ts'
  const db = openDatabase('postgresql://x:x@127.0.0.1:${port}/x', 1)
  for (let i = 0; i < 3; i++) {
    const err = await db.$transaction((tx) => tx.$queryRaw\`SELECT 1\`).catch((err) => err)
    if (!isOutage(err)) throw err
  }
  process.exit(7)`

it('does not end the process', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(Buffer.concat([welcome, farewell])))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(port)], {
    cwd: process.cwd(),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const code = await new Promise((resolve) => child.once('exit', resolve))
  server.close()
  expect(code, said).toBe(7)
})
