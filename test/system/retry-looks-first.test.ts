/**
 * A create whose answer was lost, or a refusal, and whose task shows at the provider after its
 * video has failed: a retry takes it, and a lost one is looked for as long as results live.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { asking, calm, timing } from '../support/misbehaving-kit.ts'
import { holdClosed } from '../support/circuits.ts'
import { System, until } from '../support/system.ts'

/** By own id; by a list, once its task is done; by a mark in its list. */
const providers = ['toapis', 'dashscope', 'ark'] as const
/** Where a task at work can be told from others. */
const telling = ['toapis', 'ark'] as const
const hidden = 3_600_000

const system = new System(timing)
const { submit, command, ended, timeline } = asking(system)
const tasksOf = async (prompt: string) =>
  (await system.ledger()).filter((row) => row.prompt === prompt)
const charged = (prompt: string) =>
  until(
    `${prompt} to be charged`,
    async () => (await tasksOf(prompt)).length > 0 || undefined,
    20_000,
  )
/** By its prompt. */
const ids = new Map<string, string>()

/** Each charged and answered so, once; the videos fail with this code. */
async function failAll(prompts: string[], fault: string, code: string): Promise<void> {
  await system.simulate({ faults: { [fault]: 1 } })
  for (const prompt of prompts) {
    const provider = prompt.split(' ')[0]
    ids.set(prompt, await submit({ provider, prompt }))
  }
  await Promise.all(prompts.map(charged))
  await system.simulate({ faults: calm.faults })
  for (const prompt of prompts)
    expect(await ended(ids.get(prompt)!)).toMatchObject({ error: { code } })
}

beforeAll(async () => {
  await system.start(['--pollers', '1'])
  // hidden from the start, so that no absence counts
  await system.simulate({ ...calm, minSeconds: 2, maxSeconds: 3, lookupLagMs: hidden })
  const first = providers.map((provider) => submit({ provider, prompt: 'first' }))
  for (const id of await Promise.all(first)) await ended(id)
  for (const provider of providers) await holdClosed(system, provider)
  const lost = providers.flatMap((one) => [`${one} lost`, `${one} late`])
  await failAll(lost, 'acceptThenReset', 'submission_unknown')
  await system.simulate({ lookupLagMs: 0 })
  const refused = telling.map((one) => `${one} refused`)
  await failAll(refused, 'acceptThenRefuse', 'invalid_request')
})
afterAll(() => system[Symbol.asyncDispose]())

it.each([...providers.map((one) => `${one} lost`), ...telling.map((one) => `${one} refused`)])(
  'is taken by a retry: %s',
  async (prompt) => {
    const id = ids.get(prompt)!
    expect(await command(id, 'retry')).toBe(202)
    expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2 })
    expect(await tasksOf(prompt)).toHaveLength(1)
  },
)

it.each(providers)('is noted without a retry: %s', async (provider) => {
  const late = await until(
    'its late result',
    async () => (await timeline(ids.get(`${provider} late`)!)).find(({ kind }) => kind === 'late'),
    60_000,
  )
  expect(late.detail).toMatchObject({ said: 'completed', videoUrl: expect.stringMatching(/^http/) })
})
