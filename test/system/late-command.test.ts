/**
 * Who was told that submit is away has nothing made for him: a command that waited in a process
 * that stood still is not carried out when it goes on.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pause, System, until } from '../support/system.ts'

const system = new System()
beforeAll(() => system.start())
afterAll(() => system[Symbol.asyncDispose]())

const ask = () => system.api('POST', system.generatePath(), { prompt: 'x' })
const made = async () => {
  const { body } = await system.api('GET', '/api/scene-videos?limit=100')
  return (body['data'] as unknown[]).length
}

it('makes nothing of a request that was answered 503, once submit goes on', async () => {
  expect((await ask()).status).toBe(202)
  const submit = system.pid('submit')
  process.kill(submit, 'SIGSTOP')
  try {
    const answers = await Promise.all([ask(), ask(), ask()])
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503])
    expect(answers[0]!.headers.get('retry-after')).not.toBeNull()
  } finally {
    process.kill(submit, 'SIGCONT')
  }
  await pause(4_000)
  expect(await made()).toBe(1)
  await until('submit to accept again', async () =>
    (await ask()).status === 202 ? true : undefined,
  )
  expect(await made()).toBe(2)
})
