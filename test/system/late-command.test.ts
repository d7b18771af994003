/**
 * Who was told that submit is away has nothing made for him: a command that waited in a process
 * that stood still is not carried out when it goes on.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { inboxPrefix } from '#libs/bus/permissions.ts'
import { commandSubject, commandWaitMs } from '#libs/scene-video/messages.ts'
import { connectNats } from '../support/nats.ts'
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

it('makes nothing of a request that Postgres had in hand when it stood still', async () => {
  const { userId, projectId, scriptId, sceneIds } = system.dev
  const place = { userId, projectId, scriptId, sceneId: sceneIds[0] }
  const before = await made()
  const nc = await connectNats(system.internal.natsAs('gateway'), {
    inboxPrefix: inboxPrefix('gateway'),
  })
  const postmaster = system.pid('postgres')
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')
  const pids = [postmaster, ...children.trim().split(' ').map(Number)]
  const all = (signal: 'SIGSTOP' | 'SIGCONT') => pids.forEach((pid) => process.kill(pid, signal))
  all('SIGSTOP')
  try {
    const command = JSON.stringify({ ...place, idempotencyKey: null, body: { prompt: 'x' } })
    const asked = nc.request(commandSubject.generate, command, { timeout: commandWaitMs })
    await expect(asked).rejects.toThrow('TIMEOUT')
  } finally {
    all('SIGCONT')
    await nc.close()
  }
  await pause(4_000)
  expect(await made()).toBe(before)
  await until('submit to accept again', async () =>
    (await ask()).status === 202 ? true : undefined,
  )
  expect(await made()).toBe(before + 1)
})

it('carries out a bulk action that submit answered too late, all of it', async () => {
  const ids = await Promise.all([1, 2, 3].map(() => system.submit({ prompt: '[policy]' })))
  await until('them to fail', async () => {
    const videos = await Promise.all(ids.map((id) => system.video(id)))
    return videos.every(({ status }) => status === 'failed') || undefined
  })
  const submit = system.pid('submit')
  process.kill(submit, 'SIGSTOP')
  let id: unknown
  try {
    const made = await system.api('POST', '/api/bulk-actions', {
      action: 'retry',
      filter: { errorCode: ['content_policy'] },
    })
    expect(made.status).toBe(202)
    id = made.body['id']
    // too late to begin, and not yet too late to be answered
    await pause(commandWaitMs - 1_000)
  } finally {
    process.kill(submit, 'SIGCONT')
  }
  const ended = await until(
    'the action to end',
    async () => {
      const { body } = await system.api('GET', `/api/bulk-actions/${id as string}`)
      return body['status'] === 'running' ? undefined : body
    },
    60_000,
  )
  expect(ended).toMatchObject({ status: 'done', counts: { total: 3, done: 3, refused: 0 } })
})
