/**
 * Each user of NATS may say and hear what the table gives it, on a real server, and nothing
 * else.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Events, headers, type NatsConnection } from 'nats'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { inboxPrefix, natsUsers, permissionsOf, type NatsUser } from '#libs/bus/permissions.ts'
import { streamConfigs } from '#libs/bus/stream-configs.ts'
import { streams } from '#libs/bus/streams.ts'
import { eventNames } from '#libs/scene-video/scene-video.ts'
import { findNatsServer } from '#services/dev/servers/nats-binary.ts'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { urlFor } from '#services/dev/servers/passwords.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { spawnServer, type LocalServer } from '#services/dev/servers/server-process.ts'
import { pause, until } from '../support/system.ts'
import { connectNats, fits, publishersOf } from '../support/nats.ts'

const secret = 'of-this-test'
const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-permissions-'))
let server: LocalServer

beforeAll(async () => {
  chmodSync(dir, 0o755)
  server = await startNats({ dir: join(dir, 'nats'), secret })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

const concrete = (pattern: string) => pattern.replaceAll('*', 'x').replace(/>$/, 'x.y')
const actions = ['CREATE', 'UPDATE', 'DELETE', 'PURGE', 'INFO', 'SNAPSHOT', 'RESTORE', 'MSG.DELETE']
/** Whatever anybody may say, and what nobody may. */
const everySubject = [
  ...new Set([
    ...natsUsers.flatMap((user) => permissionsOf(user).publish.map(concrete)),
    ...natsUsers.map((user) => `${inboxPrefix(user)}.x`),
    ...eventNames.flatMap((event) => [`video.${event}`, `video.out.${event}.x`]),
    ...Object.values(streams).flatMap((stream) =>
      actions.map((action) => `$JS.API.STREAM.${action}.${stream}`),
    ),
    ...Object.values(streams).map((stream) => `$JS.API.CONSUMER.DELETE.${stream}.x`),
    'video.x',
    'x',
    '$SYS.REQ.SERVER.PING',
    '$JS.API.STREAM.CREATE.MINE',
    '$KV.OTHER.x',
  ]),
]

/** The subjects that the server refused. */
async function refused(
  user: NatsUser,
  attempt: (nc: NatsConnection) => void,
): Promise<Set<string>> {
  const nc = await connectNats(urlFor(server.url, user, secret), { inboxPrefix: inboxPrefix(user) })
  const found = new Set<string>()
  void (async () => {
    for await (const status of nc.status())
      if (status.type === Events.Error) found.add(status.permissionContext?.subject ?? '?')
  })()
  attempt(nc)
  await nc.flush()
  // the refusals have arrived before the answer to the flush; the client hands them on one by one
  for (let before = -1; before !== found.size; await pause(300)) before = found.size
  await nc.close()
  return found
}

it.each(natsUsers)('%s publishes only what the table gives it', async (user) => {
  const { publish } = permissionsOf(user)
  const found = await refused(user, (nc) => {
    for (const subject of everySubject) nc.publish(subject, '{')
  })
  expect([...found].toSorted()).toEqual(
    everySubject.filter((one) => !publish.some((pattern) => fits(pattern, one))).toSorted(),
  )
})

it.each(natsUsers)('%s subscribes only to what the table gives it', async (user) => {
  const { subscribe } = permissionsOf(user)
  const all = [...everySubject, 'video.*', '$KV.>', '_INBOX.>', '>', '*.*']
  const found = await refused(user, (nc) => {
    for (const subject of all) nc.subscribe(subject, { callback: () => {} })
  })
  const inside = (pattern: string, subject: string) =>
    fits(
      pattern,
      subject.replaceAll(/[*>]/g, (one) => (one === '>' ? '>.>' : 'x')),
    )
  const allowed = all.filter((one) => !found.has(one))
  for (const one of allowed)
    expect(
      subscribe.some((pattern) => pattern === one || inside(pattern, one)),
      `${user} may hear ${one}`,
    ).toBe(true)
  for (const pattern of subscribe) expect([...found]).not.toContain(concrete(pattern))
})

it('shows a subscriber the public events and nothing deeper, however it asks', async () => {
  const subscriber = await connectNats(urlFor(server.url, 'subscriber', secret))
  const gateway = await connectNats(urlFor(server.url, 'gateway', secret))
  const heard: string[] = []
  for (const subject of ['video.>', 'video.*.>', 'video.*.*', 'video.*', '>', '*.*', '_INBOX.>'])
    subscriber.subscribe(subject, {
      callback: (err, message) => void (err ?? heard.push(`${subject} ${message.subject}`)),
    })
  await subscriber.flush()
  for (const subject of ['video.command.generate', 'video.nudge.x']) gateway.publish(subject, '{}')
  gateway.publish(`${inboxPrefix('subscriber')}.x`, '{}')
  await gateway.flush()
  await subscriber.flush()
  await pause(300)
  await Promise.all([subscriber.close(), gateway.close()])
  expect(heard).toEqual([])
})

it('lets a subscriber take events by the older interface of clients, as the guide prints it', async () => {
  const as = (user: NatsUser) =>
    connectNats(urlFor(server.url, user, secret), { inboxPrefix: inboxPrefix(user) })
  const [status, submit] = [await as('status'), await as('submit')]
  const { streams: made } = await status.jetstreamManager({ checkAPI: false })
  for (const config of streamConfigs(1, { eventDays: 1, replicas: 1 }))
    if (config.name === streams.outbox || config.name === streams.video) await made.add(config)
  const event = { headers: headers() }
  event.headers.set('ce-id', 'x:1')
  await submit.jetstream().publish('video.out.completed.x', '{"status":"completed"}', event)
  await Promise.all([status.close(), submit.close()])
  const guide = readFileSync('docs/guides/subscribers.md', 'utf8')
  const durable = /```js\n([\s\S]*?)```/.exec(guide)![1]!
  const ephemeral = durable.replace(/.*durable.*\n/, '')
  expect(ephemeral).not.toBe(durable)
  for (const sample of [durable, ephemeral]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', sample], {
      env: { ...process.env, NATS_URL: urlFor(server.url, 'subscriber', secret) },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [said] = (await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(([code]) => [`ended with ${String(code)}`]),
    ])) as unknown[]
    expect(String(said)).toBe('x:1 completed\n')
    child.kill()
  }
})

it('keeps work, claims, reports and commands to those who own them', () => {
  expect(publishersOf('video.command.generate')).toEqual(['gateway'])
  expect(publishersOf('video.claim.commit')).toEqual(['poller'])
  expect(publishersOf('video.report.x')).toEqual(['poller', 'status', 'operator'])
  expect(publishersOf('video.out.completed.x')).toEqual([
    'submit',
    'status',
    'reconciler',
    'archiver',
  ])
  expect(publishersOf('video.completed')).toEqual([])
  expect(publishersOf('$KV.OWNERSHIP.owner.x')).toEqual(['poller', 'reconciler'])
  expect(publishersOf(`$JS.API.STREAM.DELETE.${streams.ownership}`)).toEqual(['status'])
  for (const stream of [streams.video, streams.outbox, streams.work, streams.reports])
    expect(publishersOf(`$JS.API.STREAM.DELETE.${stream}`)).toEqual([])
})

it('lets nobody in without a user, with a wrong password, or with another one’s', async () => {
  const bare = server.url
  for (const url of [
    bare,
    bare.replace('://', '://gateway:wrong@'),
    bare.replace('://', '://nobody:x@'),
    bare.replace('://', '://some-token@'),
    urlFor(bare, 'tool', secret).replace('tool:', 'gateway:'),
  ])
    await expect(connectNats(url), url).rejects.toThrow(/Authorization Violation/)
})

it('runs on the configuration for Compose and Kubernetes, with passwords from the environment', async () => {
  const port = await freePort()
  const password = '12e4'.padEnd(48, '7') // which would be a number, but for the quotes
  const names = natsUsers.map((user) => `NATS_${user.toUpperCase()}_PASSWORD`)
  await using started = spawnServer(
    await findNatsServer(() => {}),
    ['-c', 'deploy/nats.conf', '-js', '-sd', join(dir, 'data'), '-a', '127.0.0.1', '-p', `${port}`],
    {
      url: `127.0.0.1:${port}`,
      port,
      stopSignal: 'SIGTERM',
      env: Object.fromEntries(names.map((name) => [name, `"${password}"`])),
    },
  )
  await until('it to be ready', () => started.output().includes('Server is ready') || undefined)
  for (const user of natsUsers)
    await (await connectNats(`nats://${user}:${password}@${started.url}`)).close()
  await expect(connectNats(started.url)).rejects.toThrow(/Authorization Violation/)
})

it('keeps its passwords from other users of the machine', () => {
  const file = join(dir, 'nats/nats.conf')
  expect(readFileSync(file, 'utf8')).toContain('password: "')
  expect(statSync(file).mode & 0o077).toBe(0)
})
