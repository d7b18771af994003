/**
 * Every way of proving to NATS who one is, with a service's own settings and connection against a
 * real nats-server: it lets in who has it, and nobody who has another one or none.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeys } from 'nats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { connectBus } from '#libs/bus/connect.ts'
import { natsSettings, readConfig } from '#libs/runtime/config.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { findNatsServer } from '#services/dev/servers/nats-binary.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { spawnServer, type LocalServer } from '#services/dev/servers/server-process.ts'
import { certificates, operatorMode, seedText } from '../support/nats-identities.ts'
import { until } from '../support/system.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-nats-auth-'))
const file = (name: string, text: string) => {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** A server with these lines of configuration; `at` is its host and port. */
async function serve(name: string, config: string): Promise<LocalServer & { at: string }> {
  const port = await freePort()
  const path = file(`${name}.conf`, `listen: "127.0.0.1:${port}"\n${config}\n`)
  const binary = await findNatsServer(() => {})
  const about = { url: `nats://127.0.0.1:${port}`, port, stopSignal: 'SIGTERM' as const }
  const server = spawnServer(binary, ['-c', path], about)
  await until('nats-server to be ready', () => server.output().includes('is ready') || undefined)
  return Object.assign(server, { at: `127.0.0.1:${port}` })
}

/** Connects as a service does and hears its own word, or throws. */
async function enters(env: Record<string, string>): Promise<void> {
  const config = readConfig(z.object(natsSettings), env)
  const log = createLogger('auth', 'silent')
  const bus = await connectBus({ config, name: 'auth', log, patient: false })
  try {
    const { promise: heard, resolve } = Promise.withResolvers<string>()
    bus.subscribe('x', null, ({ subject }) => resolve(subject))
    bus.publishCore('x', {})
    expect(await heard).toBe('x')
  } finally {
    await bus.drain()
  }
}

interface Kind {
  config: string
  /** Settings that are let in, and some that are not. */
  good: Record<string, string>[]
  bad: Record<string, string>[]
}

const own = nkeys.createUser()
const other = nkeys.createUser()
const [mine, others] = [certificates(dir, 'mine'), certificates(dir, 'others')]
const [jwts, otherJwts] = [operatorMode(), operatorMode()]
const kinds: Record<string, (at: string) => Kind> = {
  'a user and its password': (at) => ({
    config: `authorization { user: gateway, password: "p@ss/word:1" }`,
    good: [
      { NATS_URL: `nats://${at}`, NATS_USER: 'gateway', NATS_PASSWORD: 'p@ss/word:1' },
      { NATS_URL: `nats://gateway:p%40ss%2Fword%3A1@${at}` },
      { NATS_URL: `gateway:p%40ss%2Fword%3A1@${at}` },
      // the URL's win, wherever in a list of servers they are
      {
        NATS_URL: `nats://127.0.0.1:1, nats://gateway:p%40ss%2Fword%3A1@${at}`,
        NATS_USER: 'gateway',
        NATS_PASSWORD: 'another',
      },
    ],
    bad: [
      { NATS_URL: `nats://gateway:wrong@${at}` },
      { NATS_URL: `nats://${at}`, NATS_USER: 'gateway' },
      { NATS_URL: `nats://${at}`, NATS_TOKEN: 'p@ss/word:1' },
    ],
  }),
  'a token': (at) => ({
    config: `authorization { token: "t0ken" }`,
    good: [{ NATS_URL: `nats://${at}`, NATS_TOKEN: 't0ken' }, { NATS_URL: `nats://t0ken@${at}` }],
    bad: [{ NATS_URL: `nats://${at}`, NATS_TOKEN: 'other' }, { NATS_URL: `nats://other@${at}` }],
  }),
  'an nkey': (at) => ({
    config: `authorization { users: [{ nkey: ${own.getPublicKey()} }] }`,
    good: [
      { NATS_URL: `nats://${at}`, NATS_NKEY: seedText(own) },
      { NATS_URL: `nats://${at}`, NATS_NKEY: file('nkey', `${seedText(own)}\n`) },
    ],
    bad: [{ NATS_URL: `nats://${at}`, NATS_NKEY: seedText(other) }],
  }),
  'a .creds file': (at) => ({
    config: jwts.config,
    good: [{ NATS_URL: `nats://${at}`, NATS_CREDS: file('own.creds', jwts.creds) }],
    bad: [{ NATS_URL: `nats://${at}`, NATS_CREDS: file('other.creds', otherJwts.creds) }],
  }),
  'a certificate, over TLS': (at) => {
    const files = { cert_file: mine.cert, key_file: mine.key, ca_file: mine.ca }
    return {
      config: `tls { ${Object.entries(files)
        .map(([name, path]) => `${name}: "${path}"`)
        .join(', ')}, verify: true }`,
      good: [
        {
          NATS_URL: `tls://${at}`,
          NATS_CA: mine.ca,
          NATS_CERT: mine.cert,
          NATS_KEY: mine.key,
        },
      ],
      bad: [
        { NATS_URL: `tls://${at}`, NATS_CA: mine.ca },
        { NATS_URL: `tls://${at}`, NATS_CERT: mine.cert, NATS_KEY: mine.key },
        {
          NATS_URL: `tls://${at}`,
          NATS_CA: mine.ca,
          NATS_CERT: others.cert,
          NATS_KEY: others.key,
        },
        { NATS_URL: `tls://${at}`, NATS_CA: others.ca, NATS_CERT: mine.cert, NATS_KEY: mine.key },
      ],
    }
  },
}

describe.each(Object.entries(kinds))('A server that asks for %s', (name, kindOf) => {
  let server: LocalServer
  let kind: Kind
  beforeAll(async () => {
    chmodSync(dir, 0o755)
    const { config } = kindOf('127.0.0.1')
    const started = await serve(name.replaceAll(/\W/g, '-'), config)
    server = started
    kind = kindOf(started.at)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  it('lets in who has it, however it is given', async () => {
    for (const settings of kind.good) await enters(settings)
  })

  it('lets nobody else in', async () => {
    for (const settings of [...kind.bad, { NATS_URL: server.url }])
      await expect(enters(settings), JSON.stringify(settings)).rejects.toThrow()
  })
})

it('says at once what is wrong with the settings themselves', async () => {
  for (const [env, words] of [
    [{ NATS_URL: 'nats://127.0.0.1', NATS_CREDS: join(dir, 'none') }, /ENOENT/],
    [{ NATS_URL: 'nats://' }, /names no host|Invalid URL/],
  ] as const)
    await expect(enters(env)).rejects.toThrow(words)
})
