/**
 * The key-encryption key is replaced while everything runs: nothing is refused, no video is lost,
 * and afterwards the former key opens nothing.
 */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { decrypt, isCurrent, type Keyring } from '#libs/runtime/secrets.ts'
import { ProviderAccounts, type CircuitRow } from '#libs/store/provider-accounts.ts'
import { Stack } from '../support/gateway-kit.ts'
import { command } from '../support/operate.ts'
import { until } from '../support/system.ts'

let stack: Stack
beforeEach(async () => {
  stack = new Stack()
  await stack.start()
  await stack.simulate({ minSeconds: 1, maxSeconds: 2, tier: 'off' })
  ids.length = 0
})
afterEach(() => stack[Symbol.asyncDispose]())

/** The services that hold keys, with these. */
const start = async (...ring: string[]) => {
  const env = { KEY_ENCRYPTION_KEY: ring.join(',') }
  return {
    submit: await stack.submit(env),
    poller: await stack.poller(env),
    gateway: await stack.gateway(env),
  }
}

const ids: string[] = []
const generate = async (url: string, prompt = 'x') => {
  const { status, body } = await stack.ask('POST', `${stack.scenePath}/generate-video`, {
    url,
    body: { prompt },
  })
  expect(status).toBe(202)
  ids.push(String(body['id']))
}
const putKey = async (url = stack.gatewayUrl) => {
  const apiKey = `sk-own-${randomBytes(6).toString('hex')}`
  const path = `/api/projects/${stack.demo.projectId}/ai-config`
  const put = await stack.ask('PUT', path, { url, body: { provider: 'toapis', apiKey } })
  expect([put.status, put.body['apiKeyLast4']]).toEqual([200, apiKey.slice(-4)])
}

/**
 * Both kinds of service side by side, as while they are exchanged: what one has written or made,
 * the other one reads.
 */
const together = async (urls: string[]) => {
  for (const url of urls) {
    await putKey(url)
    const token = String((await stack.ask('POST', '/api/stream-tokens', { url })).body['token'])
    for (const other of urls) {
      const stream = await fetch(`${other}/api/events?token=${token}`)
      expect(stream.status).toBe(200)
      await stream.body!.cancel()
    }
    for (let i = 0; i < 4; i++) {
      await generate(url)
      expect(
        (await stack.ask('POST', `/api/projects/${stack.demo.projectId}/ai-config/test`, { url }))
          .body,
      ).toMatchObject({ ok: true, source: 'project' })
    }
  }
}

const reEncrypt = async (...ring: string[]) => {
  const keys = { DATABASE_URL: stack.databaseUrl, KEY_ENCRYPTION_KEY: ring.join(',') }
  const { code, err } = await command({ ...process.env, ...keys }, ['keys', 're-encrypt'])
  expect([code, err]).toEqual([0, ''])
}

/** By the gateway at `url`; fails with where a video stands that does not end. */
const allCompleted = async (url: string, some = ids) => {
  for (const id of some) {
    let last: unknown
    const look = async () => {
      const { body } = await stack.ask('GET', `/api/scene-videos/${id}`, { url })
      last = body
      return body['status'] === 'completed' || undefined
    }
    await until(`video ${ids.indexOf(id)} of ${ids.length} to end`, look).catch((err: unknown) => {
      throw new Error(`${String(err)}: ${JSON.stringify(last)}`)
    })
  }
}

/** Everything stored opens with this key alone. */
const allSealedTo = async (key: string) => {
  const ring: Keyring = [Buffer.from(key, 'base64')]
  const rows = [...(await stack.db.submission.findMany()), ...(await stack.db.aiConfig.findMany())]
  const stored = rows.map((row) => row.keyCipher!)
  expect(stored.filter((cipher) => !isCurrent(cipher, ring))).toEqual([])
  for (const cipher of stored) expect(decrypt(cipher, ring)).toMatch(/^sk-/)
}

it('is without downtime in four steps: the new key behind, then in front, re-encrypt, the former one away', async () => {
  const [former, current] = [stack.keyEncryptionKey, randomBytes(32).toString('base64')]
  const steps = [{ ...stack.first, poller: await stack.poller() }]
  const exchange = async (...ring: string[]) => {
    const before = steps.at(-1)!
    const next = await start(...ring)
    steps.push(next)
    await together([before.gateway.url, next.gateway.url])
    for (const service of Object.values(before)) await service[Symbol.asyncDispose]()
    await together([next.gateway.url])
  }

  await together([stack.gatewayUrl])
  await stack.simulate({ minSeconds: 20, maxSeconds: 20 })
  await generate(stack.gatewayUrl, 'polled all the while, by one after the other')
  await until('it to have been submitted', async () =>
    (await stack.db.submission.count({ where: { videoId: ids.at(-1)! } })) ? true : undefined,
  )
  await stack.simulate({ minSeconds: 1, maxSeconds: 2 })
  await exchange(former, current)
  await exchange(current, former)
  await reEncrypt(current, former)
  await exchange(current)

  await allCompleted(steps.at(-1)!.gateway.url)
  await allSealedTo(current)
})

it('has what waited for its turn while all keys were re-encrypted sealed to the new key', async () => {
  const [former, current] = [stack.keyEncryptionKey, randomBytes(32).toString('base64')]
  await putKey()
  await stack.first.submit[Symbol.asyncDispose]()
  await using _ = await stack.submit({
    KEY_ENCRYPTION_KEY: `${current},${former}`,
    CREATE_CONCURRENCY: '1',
  })
  await stack.simulate({ createdDelayMs: 6_000 })
  await generate(stack.gatewayUrl)
  await generate(stack.gatewayUrl)
  const sent = (count: number) =>
    until(`create ${count} to be intended`, async () => {
      return (await stack.db.submission.count()) >= count || undefined
    })
  await sent(1)
  await reEncrypt(current, former)
  expect(await stack.db.submission.count()).toBe(1)
  await sent(2)
  await allSealedTo(current)

  await stack.poller({ KEY_ENCRYPTION_KEY: current })
  await allCompleted(stack.gatewayUrl)
})

it.each([
  ['seen meanwhile', true],
  ['not used meanwhile', false],
])('keeps what an operator holds, and what was proven of an account, %s', async (_, isUsed) => {
  const [former, current] = [stack.keyEncryptionKey, randomBytes(32).toString('base64')]
  const accounts = new ProviderAccounts(stack.db)
  await putKey()
  await generate(stack.gatewayUrl)
  const proofs = () => stack.db.accountProof.count()
  await until('the account to be proven', async () => ((await proofs()) === 1 ? true : undefined))
  const [{ accountId, provider }] = (await accounts.list()) as [CircuitRow]
  const by = { keyId: 'k', name: 'operator' }
  await accounts.act({ accountId, provider }, { act: 'open', reason: 'not today', by })

  const submit = await stack.submit({ KEY_ENCRYPTION_KEY: `${current},${former}` })
  await stack.first.submit[Symbol.asyncDispose]()
  const other = await stack.stranger()
  const waits = async () => {
    await generate(stack.gatewayUrl)
    // by the system's account, which nobody holds
    const theirs = await stack.ask('POST', '/api/videos', { key: other, body: { prompt: 'x' } })
    expect(theirs.status).toBe(202)
    const id = ids.at(-1)!
    await until('it to wait for the operator', async () => {
      const row = await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })
      return row.waitReason?.includes('not today') || undefined
    })
    const sentOf = (videoId: unknown) =>
      stack.db.submission.count({ where: { videoId: String(videoId) } })
    await until('another one’s to be sent', async () =>
      (await sentOf(theirs.body['id'])) === 1 ? true : undefined,
    )
    expect(await sentOf(id)).toBe(0)
  }
  if (isUsed) await waits()
  await reEncrypt(current, former)
  await stack.submit({ KEY_ENCRYPTION_KEY: current })
  await submit[Symbol.asyncDispose]()
  await waits()

  for (const one of await accounts.list())
    await accounts.act(one, { act: 'reset', reason: null, by })
  await stack.poller({ KEY_ENCRYPTION_KEY: current })
  await allCompleted(stack.gatewayUrl, ids.slice(-1))
  const names = [...(await accounts.list()), ...(await stack.db.accountProof.findMany())]
  expect(names.map((one) => one.accountId)).not.toContain(accountId)
  expect((await accounts.list()).length).toBe(2)
})
