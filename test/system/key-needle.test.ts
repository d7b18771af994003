/**
 * A provider that repeats an account's secrets wherever it can: they are then in no answer, stream
 * of events, log, message, metric, table or file. Accounts of every kind: of the system and of a
 * user, one key, several parts, a service account with a token that is had for it.
 */
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NatsConnection } from 'nats'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connectNats } from '../support/nats.ts'
import { createWays, formsOf, Parrot, parrotFormats, pollWays } from '../support/parrot.ts'
import { System, until } from '../support/system.ts'

const privateKey = generateKeyPairSync('rsa', {
  modulusLength: 2_048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
}).privateKey
/** None of them looks like a key. */
const keys = {
  system: 'needle/7f3a+9c51e8==',
  own: 'needle/of-a-user:4b1d+02',
  kling: 'needle-of-kling.55c1',
  tencent: 'needle/of~tencent+a1',
}
const provider = { system: 'toapis', own: 'toapis', tencent: 'tencent-vod' } as Record<
  string,
  string
>

let parrot: Parrot
let system: System
beforeAll(async () => {
  const parts = Object.entries({ ...keys, vertex: privateKey })
  parrot = await Parrot.start(Object.fromEntries(parts.map(([name, key]) => [name, [key]])))
  const { url } = parrot
  system = new System({
    PROVIDERS: 'toapis,kling,tencent-vod,vertex',
    TOAPIS_BASE_URL: `${url}/system`,
    TOAPIS_API_KEY: keys.system,
    KLING_BASE_URL: `${url}/kling`,
    KLING_API_KEY: keys.kling,
    TENCENT_VOD_PARALLEL_TASKS: '100',
    TENCENT_VOD_BASE_URL: `${url}/tencent`,
    TENCENT_VOD_SECRET_ID: 'AKIDpublic',
    TENCENT_VOD_SECRET_KEY: keys.tencent,
    TENCENT_VOD_SUB_APP_ID: '1500000001',
    VERTEX_BASE_URL: `${url}/vertex`,
    VERTEX_CLIENT_EMAIL: 'a@b.iam.gserviceaccount.com',
    VERTEX_PRIVATE_KEY: privateKey,
    VERTEX_PROJECT: 'p',
    VERTEX_BUCKET: 'b',
    ALLOW_PRIVATE_BASE_URLS: 'true',
    POLL_INTERVAL_MS: '300',
    LOOKUP_WINDOW_MS: '4000',
    CREATE_TIMEOUT_MS: '1200',
    SEND_WINDOW_MS: '1000',
    LOG_LEVEL: 'debug',
  })
  await system.start()
})
afterAll(async () => {
  await system?.[Symbol.asyncDispose]()
  await parrot?.[Symbol.asyncDispose]()
})

/** Everything that is said on NATS, with what its streams hold. */
async function listen(nats: NatsConnection): Promise<() => string> {
  let heard = ''
  const subscription = nats.subscribe('>')
  void (async () => {
    for await (const { subject, data } of subscription)
      heard += `${subject} ${Buffer.from(data).toString()}\n`
  })()
  await nats.flush()
  return () => heard
}

/** Where one of these stands, in any form. */
const holding = (places: Map<string, string | Buffer>, secrets: string[]): string[] =>
  secrets.flatMap((secret) =>
    formsOf(secret).flatMap((form) =>
      [...places].flatMap(([place, text]) => (text.includes(form) ? `${form} in ${place}` : [])),
    ),
  )

/** The events of this user, as they come. */
async function follow(url: string, key: string, signal: AbortSignal): Promise<() => string> {
  let text = ''
  const answer = await fetch(url, { headers: { authorization: `Bearer ${key}` }, signal })
  void (async () => {
    for await (const chunk of answer.body!) text += Buffer.from(chunk).toString()
  })().catch(() => {})
  return () => text
}

async function tables(): Promise<string> {
  const client = new pg.Client(system.internal.databaseUrl)
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
    )
    let text = ''
    for (const { name } of rows) {
      const all = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)
      text += all.rows.map(({ row }) => `${row}\n`).join('')
    }
    return text
  } finally {
    await client.end()
  }
}

async function metrics(): Promise<string> {
  const ports = new Set([...system.output.matchAll(/healthPort=(\d+)/g)].map((match) => match[1]))
  const texts = [...ports].map((port) => fetch(`http://127.0.0.1:${port}/metrics`))
  return (await Promise.all((await Promise.all(texts)).map((one) => one.text()))).join('\n')
}

/** What lies on the disk: streams, write-ahead logs, what was logged of either. */
function files(): Map<string, Buffer> {
  const entries = readdirSync(join(system.dir, '.reelkeeper'), {
    recursive: true,
    withFileTypes: true,
  })
  const paths = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  return new Map(paths.map((path) => [path, readFileSync(path)]))
}

async function ask(path: string, body?: unknown, method = body ? 'POST' : 'GET'): Promise<string> {
  const { body: answer } = await system.api(method, path, body)
  return JSON.stringify(answer)
}

it('tells nobody a secret of any account, though its provider repeats it everywhere', async () => {
  const { dev } = system
  const over = new AbortController()
  const nats = await connectNats(dev.natsUrl)
  const heard = await listen(nats)
  const events = await follow(`${dev.gatewayUrl}/api/events`, dev.apiKey, over.signal)
  let told = ''
  const ids = new Map<string, string>()
  const make = async (format: string) => {
    for (const prompt of [...createWays, ...pollWays]) {
      const of = { provider: provider[format] ?? format, prompt, deadlineSeconds: 25 }
      const video = await ask(system.generatePath(), of)
      ids.set(`${format} ${prompt}`, (JSON.parse(video) as { id: string }).id)
    }
  }
  for (const format of parrotFormats.filter((one) => one !== 'own')) await make(format)
  const config = `/api/projects/${dev.projectId}/ai-config`
  const own = { provider: 'toapis', apiKey: keys.own, baseUrl: `${parrot.url}/own` }
  const made = await ask(config, own, 'PUT')
  expect(made).toContain('"source":"project"')
  told += made
  told += (await ask(config)) + (await ask(`${config}/test`, {}))
  await make('own')
  for (const [name, id] of ids)
    await until(`the end of ${name}`, async () => {
      const video = await ask(`/api/scene-videos/${id}`)
      told += video
      return /"status":"(failed|completed)"/.test(video) || undefined
    })
  for (const id of ids.values()) {
    told += await ask(`/api/scene-videos/${id}/timeline?snapshots=true`)
    told += await ask(`/api/scene-videos/${id}/submissions`)
  }
  const places = new Map<string, string | Buffer>([
    ['answers', told + (await ask('/api/scene-videos?limit=100'))],
    ['events', events()],
    ['messages', heard()],
    ['tables', await tables()],
    ['metrics', await metrics()],
  ])
  over.abort()
  await nats.close()
  await system.stop()
  expect(system.output.length).toBeLessThan(2_000_000)
  places.set('log', system.output)
  // each place is one where it would be found
  const known = ids.get('system failed')!
  for (const place of ['answers', 'events', 'messages', 'tables', 'log']) {
    expect(places.get(place), place).toContain(known)
    expect(places.get(place), place).toContain('[key]')
  }
  expect(places.get('metrics')).toContain('reelkeeper_polls_total')
  const onDisk = files()
  expect([...onDisk.values()].filter((file) => file.includes(known)).length).toBeGreaterThan(1)
  for (const [path, file] of onDisk) places.set(path.slice(system.dir.length), file)

  const secrets = Object.values(parrot.secrets).flatMap((some) => [...some])
  expect(secrets.length).toBeGreaterThan(6)
  expect(holding(places, secrets)).toEqual([])
  // once a video, however often it was said

  const words = told.match(/"kind":"unknown"[^}]*"said":"[^"]*/gi) ?? []
  expect(words.length).toBe(parrotFormats.length)
  for (const word of words) expect(word).toMatch(/said":"word .*\[key\]/)
})
