/** The operator's command, as a process of its own, on a real Postgres. */
import { spawnSync } from 'node:child_process'
import { createCipheriv, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { decrypt, encrypt, isCurrent, keyId, keySealingKey, seal } from '#libs/runtime/secrets.ts'
import { parseApiKey } from '#libs/store/api-key.ts'
import { ApiKeys } from '#libs/store/api-keys.ts'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { createRoles } from '#libs/store/roles.ts'
import { ProviderAccounts } from '#libs/store/provider-accounts.ts'
import { seedDemo, type Demo } from '#services/dev/seed.ts'
import { startDatabase } from '../support/postgres.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-cli-'))
chmodSync(dir, 0o755)
let server: LocalServer
let db: Database
let demo: Demo
beforeAll(async () => {
  server = await startDatabase(join(dir, 'postgres'))
  demo = await seedDemo(server.url, `rk_demo_${'x'.repeat(32)}`)
  db = openDatabase(server.url, 2)
})
afterAll(async () => {
  await db?.$disconnect()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

function reelkeeper(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', 'cli/main.ts', ...args],
    { encoding: 'utf8', env: { ...process.env, DATABASE_URL: server.url, ...env } },
  )
  return { status, stdout: stdout.trim(), stderr }
}

describe('keys', () => {
  it('are made, listed and revoked', async () => {
    const user = reelkeeper(['users', 'create', 'somebody']).stdout
    const made = reelkeeper([
      'keys',
      'create',
      '--user',
      user,
      '--scopes',
      'read,admin',
      '--name',
      'c\u001b[2J\ni', // by a user, for an operator's terminal
    ])
    const { id, secretHash } = parseApiKey(made.stdout)!
    const found = await new ApiKeys(db).find(id)
    expect(found).toMatchObject({ userId: user, scopes: ['read', 'admin'] })
    expect(Buffer.from(found!.secretHash)).toEqual(secretHash)
    expect(reelkeeper(['keys', 'list', '--user', user]).stdout).toMatch(
      new RegExp(`^${id}\tread,admin\t.*\tvalid\tc·\\[2J·i$`),
    )
    expect(reelkeeper(['keys', 'revoke', id]).status).toBe(0)
    expect(await new ApiKeys(db).find(id)).toBeNull()
  })

  it('of a user that is disabled are refused, and let in again; users are listed and renamed', async () => {
    const user = reelkeeper(['users', 'create', ' of a studio ']).stdout
    const { id } = parseApiKey(reelkeeper(['keys', 'create', '--user', user]).stdout)!
    const keys = new ApiKeys(db)
    const listed = () =>
      reelkeeper(['users', 'list'])
        .stdout.split('\n')
        .find((line) => line.startsWith(user))
    expect(listed()).toBe(`${user}\tof a studio`)
    expect(reelkeeper(['users', 'rename', user, 'of two']).stdout).toBe('renamed')
    expect(listed()).toBe(`${user}\tof two`)
    expect(reelkeeper(['users', 'disable', user]).stdout).toBe('disabled')
    expect(listed()).toMatch(/\tof two\tdisabled \d{4}-/)
    expect([await keys.find(id), await keys.disabledOf([user, demo.userId])]).toEqual([
      null,
      new Set([user]),
    ])
    expect(reelkeeper(['users', 'enable', user]).stdout).toBe('enabled')
    expect([listed(), (await keys.find(id))?.userId]).toEqual([`${user}\tof two`, user])
  })

  it('say what was asked wrongly', () => {
    const wrong: [string[], number, string][] = [
      [['nonsense'], 2, 'no command'],
      [['keys'], 2, 'keys needs one of'],
      [['keys', 'create', '--user', 'x'], 2, 'a user’s id'],
      [['keys', 'create', '--user', demo.userId, '--scopes', 'all'], 2, '--scopes'],
      [['keys', 'create', '--user', '00000000-0000-7000-8000-000000000000'], 1, 'no user'],
      [['keys', 'revoke', 'nobody'], 1, 'no key'],
      [['users', 'rename', demo.userId], 2, 'users needs one of'],
      [['users', 'rename', demo.userId, 'a\nb'], 2, 'control characters'],
      [['users', 'disable', 'somebody'], 2, 'users needs one of'],
      [['users', 'disable', '00000000-0000-7000-8000-000000000000'], 1, 'no user'],
      [['keys', '--what'], 2, 'what'],
      [['constructor'], 2, 'no command'],
    ]
    for (const [args, status, words] of wrong)
      expect(reelkeeper(args)).toMatchObject({ status, stderr: expect.stringContaining(words) })
    expect(reelkeeper(['keys', 're-encrypt'], { KEY_ENCRYPTION_KEY: 'short' })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('32 bytes'),
    })
  })
})

/** As earlier versions stored one. */
function v2(secret: string, key: Buffer): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const data = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  const parts = [nonce, cipher.getAuthTag(), data].map((part) => part.toString('base64url'))
  return ['v2', keyId(key), ...parts].join('.')
}

it('takes an account whose id begins with a dash for an account', async () => {
  const accounts = new ProviderAccounts(db)
  await accounts.know({ accountId: '-of-its-own', provider: 'kling' }, 'kling.example')
  const why = ['--reason', 'a key is renewed']
  const opened = reelkeeper(['circuits', 'open', 'kling', '-of-its-own', ...why])
  expect(opened).toMatchObject({ status: 0, stderr: '' })
  expect(opened.stdout).toContain('a key is renewed')
  expect(reelkeeper(['circuits', 'reset', '--', 'kling', '-of-its-own']).status).toBe(0)
  expect(reelkeeper(['circuits', 'reset', 'kling']).status).toBe(2)
  expect(reelkeeper(['circuits', 'open', 'kling', '-of-its-own', '--reason']).status).toBe(2)
})

it('takes a running system for none that was restored, and says which server is away', async () => {
  const nowhere = { NATS_URL: 'nats://operator:secret@127.0.0.1:9' }
  await createRoles(server.url, () => 'secret')
  const url = Object.assign(new URL(server.url), {
    username: 'reelkeeper_submit',
    password: 'secret',
  })
  const submit = openDatabase(url.href, 1)
  await submit.$queryRaw`SELECT 1`
  const refused = reelkeeper(['postgres-restored'], nowhere)
  await submit.$disconnect()
  expect(refused).toMatchObject({ status: 1, stdout: '' })
  expect(refused.stderr).toMatch(/reelkeeper_submit.*[Ss]top/)
  const { stderr, status } = reelkeeper(['postgres-restored'], nowhere)
  expect([status, stderr]).toEqual([1, expect.stringMatching(/NATS.*nats:\/\/127\.0\.0\.1:9/)])
})

it('compares nothing with a directory that is not there, and makes none', () => {
  const FILES_DIR = join(dir, 'nowhere')
  const { status, stdout, stderr } = reelkeeper(['files', 'verify'], { FILES_DIR })
  expect([status, stdout, existsSync(FILES_DIR)]).toEqual([1, '', false])
  expect(stderr).toContain(FILES_DIR)
})

it.each([
  ['dead-letters', 'toString', '1'],
  ['circuits', 'constructor'],
  ['users', 'toString'],
])('knows no verb that every object has: %s %s', (...args) => {
  expect(reelkeeper(args, { NATS_URL: 'nats://127.0.0.1:9' })).toMatchObject({
    status: 2,
    stdout: '',
  })
})

it('prints the public half of the first key', () => {
  const [former, current] = [randomBytes(32), randomBytes(32)]
  const KEY_ENCRYPTION_KEY = [current, former].map((key) => key.toString('base64')).join(',')
  const { status, stdout } = reelkeeper(['keys', 'sealing-key'], { KEY_ENCRYPTION_KEY })
  expect(status).toBe(0)
  expect(decrypt(seal('sk-1', keySealingKey.parse(stdout)), [current])).toBe('sk-1')
})

it('re-encrypts every stored provider key in batches, and leaves alone what it cannot open', async () => {
  const [former, current, lost] = [randomBytes(32), randomBytes(32), randomBytes(32)]
  const { userId, projectId, scriptId, sceneIds } = demo
  await db.aiConfig.create({
    data: {
      userId,
      projectId,
      provider: 'toapis',
      keyCipher: encrypt('sk-config', [former]),
      apiKeyLast4: 'nfig',
    },
  })
  const video = await db.sceneVideo.create({
    data: {
      id: '0197a000-0000-7000-8000-000000000001',
      userId,
      projectId,
      scriptId,
      sceneId: sceneIds[0]!,
      provider: 'toapis',
      model: 'm',
      prompt: 'p',
    },
  })
  const sends = Array.from({ length: 1_203 }, (_, i) => ({
    videoId: video.id,
    attempt: 1 + (i % 3),
    send: i + 1,
    provider: 'toapis',
    baseUrl: 'https://example.com',
    keyCipher:
      i === 9
        ? v2(`sk-${i}`, current)
        : encrypt(`sk-${i}`, [i === 7 ? lost : i % 2 ? former : current]),
  }))
  await db.submission.createMany({ data: sends })
  const env = {
    KEY_ENCRYPTION_KEY: [current, former].map((key) => key.toString('base64')).join(','),
  }

  const run = reelkeeper(['keys', 're-encrypt'], env)
  expect(run).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('1 could not be decrypted'),
  })
  expect(run.stdout.split('\n').filter((line) => line.startsWith('Submission:'))).toHaveLength(6)
  expect(run.stdout).toContain('done: 601 re-encrypted')
  const stored = await db.submission.findMany()
  for (const { send, keyCipher } of stored.filter((one) => one.send !== 8))
    expect([isCurrent(keyCipher, [current]), decrypt(keyCipher, [current])]).toEqual([
      true,
      `sk-${send - 1}`,
    ])
  expect(decrypt(stored.find((one) => one.send === 8)!.keyCipher, [lost])).toBe('sk-7')
  expect(decrypt((await db.aiConfig.findFirstOrThrow()).keyCipher!, [current])).toBe('sk-config')
  expect(reelkeeper(['keys', 're-encrypt'], env).stdout).toContain('done: 0 re-encrypted')
})
