/**
 * The key-encryption key is replaced while everything runs: nothing is refused, no video is lost,
 * and afterwards the former key opens nothing.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decrypt, isCurrent, type Keyring } from '#libs/runtime/secrets.ts'
import { Stack } from '../support/gateway-kit.ts'
import { command } from '../support/operate.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
beforeAll(async () => {
  await stack.start()
  await stack.simulate({ minSeconds: 1, maxSeconds: 2, tier: 'off' })
})
afterAll(() => stack[Symbol.asyncDispose]())

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
/**
 * Both kinds of service side by side, as while they are exchanged: what one has written or made,
 * the other one reads.
 */
const together = async (urls: string[]) => {
  for (const url of urls) {
    const apiKey = `sk-own-${randomBytes(6).toString('hex')}`
    const put = await stack.ask('PUT', `/api/projects/${stack.demo.projectId}/ai-config`, {
      url,
      body: { provider: 'toapis', apiKey },
    })
    expect([put.status, put.body['apiKeyLast4']]).toEqual([200, apiKey.slice(-4)])
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
  const KEY_ENCRYPTION_KEY = `${current},${former}`
  const env = { ...process.env, DATABASE_URL: stack.databaseUrl, KEY_ENCRYPTION_KEY }
  const { code, err } = await command(env, ['keys', 're-encrypt'])
  expect([code, err]).toEqual([0, ''])
  await exchange(current)

  const { url } = steps.at(-1)!.gateway
  for (const id of ids)
    await until('every video to end', async () =>
      (await stack.ask('GET', `/api/scene-videos/${id}`, { url })).body['status'] === 'completed'
        ? true
        : undefined,
    )
  const ring: Keyring = [Buffer.from(current, 'base64')]
  const stored = [
    ...(await stack.db.submission.findMany()),
    ...(await stack.db.aiConfig.findMany()),
  ].map((row) => row.keyCipher!)
  expect(stored.filter((cipher) => !isCurrent(cipher, ring))).toEqual([])
  for (const cipher of stored) expect(decrypt(cipher, ring)).toMatch(/^sk-/)
})
