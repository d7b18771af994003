/**
 * `npm start` as it is: one video by each provider there is, with a made-up key, at its dialect in
 * the simulator. What ran is the table in docs/providers.md; `WRITE_DOCS=1` writes it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { providerNames } from '#libs/provider/registry.ts'
import { System, until } from '../support/system.ts'

const page = 'docs/providers.md'
const [head, foot] = ['<!-- what ran -->\n', '<!-- to here -->\n'] as const

const system = new System({ POLL_INTERVAL_MS: '500' })
/** The video of each, all asked for at once. */
const videos = new Map<string, string>()
beforeAll(async () => {
  await system.start()
  await system.simulate({ minSeconds: 1, maxSeconds: 2 })
  const asked = providerNames.map(async (provider) =>
    videos.set(provider, await system.submit({ provider, prompt: `one by ${provider}` })),
  )
  await Promise.all(asked)
})
afterAll(() => system[Symbol.asyncDispose]())

const rows = new Map<string, string[]>()

/** What its timeline says, each step once. */
async function courseOf(id: string): Promise<string> {
  const { body } = await system.api('GET', `/api/scene-videos/${id}/timeline`)
  const kinds = (body['data'] as { kind: string }[]).map(({ kind }) => kind)
  return [...new Set(kinds)].filter((kind) => kind !== 'progress').join(', ')
}

it.each(providerNames.map((name) => [name]))('%s makes a video', async (name) => {
  const id = videos.get(name)!
  const ended = await until(
    `the end of ${name}'s`,
    async () => {
      const video = await system.video(id)
      return ['completed', 'failed'].includes(video.status) ? video : undefined
    },
    90_000,
  )
  expect(ended).toMatchObject({ provider: name, status: 'completed', error: null })
  expect(ended.videoUrl).toMatch(/^http/)
  const charged = (await system.ledger()).filter((task) => task.provider === name)
  expect(charged).toHaveLength(1)
  expect(ended.taskId).toContain(charged[0]!.task_id)
  await until(`the file of ${name}'s`, async () => {
    const { phase } = await system.video(id)
    return phase === 'stored' || undefined
  })
  rows.set(name, [name, ended.model, ended.guarantee, await courseOf(id), 'kept'])
})

it('is what the page of providers says', () => {
  const table = [
    ['provider', 'model', 'guarantee', 'timeline', 'file'],
    ['-', '-', '-', '-', '-'],
    ...rows.values(),
  ]
  const text = table.map((row) => `| ${row.join(' | ')} |\n`).join('')
  const now = readFileSync(page, 'utf8')
  const [from, to] = [now.indexOf(head) + head.length, now.indexOf(foot)]
  const written = `${now.slice(0, from)}${text}${now.slice(to)}`
  if (process.env['WRITE_DOCS']) writeFileSync(page, written)
  expect(readFileSync(page, 'utf8')).toBe(written)
})
