/**
 * A provider that repeats the account's key wherever it can: it is then in no answer, no log, no
 * table and no stream. All that the system writes is searched, byte by byte.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'

const key = 'sk-NEEDLE7f3a9c51e8'
const forms = [
  key,
  encodeURIComponent(key),
  Buffer.from(key).toString('base64'),
  Buffer.from(key).toString('hex'),
]
const error = (message: string) => JSON.stringify({ error: { code: `c ${key}`, message } })
const said = `Incorrect API key provided: ${forms.join(' or ')}`
/** What it answers to a create, and to polls, by a word of the prompt. */
const creates: Record<string, [number, string]> = {
  refused: [401, error(said)],
  html: [418, `<html>${said}</html>`],
  odd: [200, JSON.stringify({ echo: said })],
}
const polls: Record<string, string> = {
  failed: JSON.stringify({ id: 'failed', status: 'failed', error: { code: key, message: said } }),
  unknown: JSON.stringify({ id: 'unknown', status: `word ${key}`, message: said }),
  linked: JSON.stringify({
    id: 'linked',
    status: 'completed',
    result: { data: [{ url: `https://e.com/v.mp4?key=${key}` }] },
  }),
  missing: error(said),
}

const provider = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => {
    const answer = (status: number, text: string) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(text)
    if (request.method === 'GET') {
      const poll = polls[request.url!.split('/').at(-1)!]
      return poll ? answer(200, poll) : answer(404, error(said))
    }
    const { prompt } = JSON.parse(body) as { prompt: string }
    const [status, text] = creates[prompt] ?? [200, JSON.stringify({ id: prompt, echo: key })]
    answer(status, text)
  })
})
let system: System
beforeAll(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const { port } = provider.address() as AddressInfo
  system = new System({
    TOAPIS_BASE_URL: `http://127.0.0.1:${port}/v1`,
    TOAPIS_API_KEY: key,
    POLL_INTERVAL_MS: '300',
    LOG_LEVEL: 'debug',
  })
  await system.start()
}, 120_000)
afterAll(async () => {
  await system[Symbol.asyncDispose]()
  provider.closeAllConnections()
  provider.close()
})

it('tells the provider’s key to nobody, though the provider repeats it everywhere', async () => {
  const { dev } = system
  const headers = { authorization: `Bearer ${dev.apiKey}`, 'content-type': 'application/json' }
  const scene = `/api/projects/${dev.projectId}/scripts/${dev.scriptId}/scenes/${dev.sceneIds[0]}`
  const ask = async (path: string, body?: object) => {
    const response = await fetch(`${dev.gatewayUrl}${path}`, {
      headers,
      ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
    })
    return response.text()
  }
  const ids = new Map<string, string>()
  for (const prompt of [...Object.keys(creates), ...Object.keys(polls)]) {
    const video = await ask(`${scene}/generate-video`, { prompt, deadlineSeconds: 20 })
    ids.set(prompt, (JSON.parse(video) as { id: string }).id)
  }
  let told = ''
  for (const prompt of ['refused', 'html', 'failed', 'linked', 'unknown'])
    await until(`the end of ${prompt}`, async () => {
      const video = await ask(`/api/scene-videos/${ids.get(prompt)}`)
      told += video
      return /"status":"failed"/.test(video) || undefined
    })
  for (const id of ids.values()) told += await ask(`/api/scene-videos/${id}/timeline`)
  // once, however often it was said
  expect(told.split('"kind":"unknown"')).toHaveLength(2)
  expect(told).toContain('"detail":{"said":"word [key]"}')
  expect(told).toContain('[key]')
  // all of it on the disk: streams, tables, and what was logged of them
  await system.stop()
  const files = readdirSync(join(system.dir, '.reelkeeper'), {
    recursive: true,
    withFileTypes: true,
  })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  expect(files.length).toBeGreaterThan(50)
  for (const form of forms) {
    expect(told).not.toContain(form)
    expect(system.output).not.toContain(form)
    const holding = files.filter((file) => readFileSync(file).includes(form))
    expect(holding).toEqual([])
  }
})
