/** What an adapter makes of every answer to a query. */
import { expect, it } from 'vitest'
import type { TroubleKind, View } from '#services/provider-simulator/dialect.ts'
import type { Bench } from './provider-bench.ts'
import { day, throttled, waits } from './provider-creates.ts'
import type { Behaviour, Script } from './scripted-provider.ts'

const at = (seconds: number) => Date.parse(day(seconds))
const running = (task: Partial<View>): Script => ({ task: { status: 'running', ...task } })
const done = (link: string, expiresAt = at(60)): Script => ({
  task: { status: 'completed', link, expiresAt, endedAt: at(-86_340) },
  headers: { date: day(0) },
})
const ended = (status: View['status'], reason: string): Script => ({
  task: { status, reason, endedAt: at(-1) },
})

export function answersOfProvider(bench: Bench): void {
  questionsOfProvider(bench)
  endsOfProvider(bench)
  redactionOfProvider(bench)
  const { get, subject } = bench

  it('reads the course of a task', async () => {
    expect(await get({})).toMatchObject({ kind: 'working' })
    const known = { kind: 'working', phase: 'running' }
    const progress = subject.tells.progress ? 42 : null
    expect(await get(running({ progress: 42.9 }))).toEqual({ ...known, progress })
    expect(await get(running({ progress: 4_000 }))).toEqual({ ...known, progress: null })
  })

  it('reads "later", however long it is to wait', async () => {
    for (const [header, retryAfterMs] of waits)
      expect(await get(throttled('throttled', header))).toEqual({ kind: 'later', retryAfterMs })
    expect((await get(throttled('busy', '7'))).kind).toMatch(/^(later|none)$/)
  })

  it('reads absence, and takes neither a key that is refused nor trouble for it', async () => {
    const trouble = (kind: TroubleKind): Behaviour => ({ trouble: [kind, 'why'] })
    if (bench.says('missing')) expect(await get(trouble('missing'))).toEqual({ kind: 'missing' })
    for (const now of [
      trouble('bad_key'),
      trouble('internal'),
      'hang',
      'reset',
      'cut',
      { status: 500, body: '' },
      { status: 404, body: '<html>' },
      { status: 200, body: 'not json' },
    ] as Behaviour[])
      expect(await get(now)).toMatchObject({ kind: 'none' })
  })

  it('does not guess what a strange word means', async () => {
    const answer = await get({ task: { status: 'strange' } })
    expect(answer).toMatchObject({ kind: 'unknown', body: expect.any(String) })
  })
}

function questionsOfProvider({ server, provider, account, request, taskId, says }: Bench): void {
  it('is ended by its caller while it is open', async () => {
    const id = await taskId()
    server.behaviour = 'hang'
    const ending = new AbortController()
    const answer = provider.get(account(), id, { signal: ending.signal })
    await expect.poll(() => server.asked.length, { timeout: 10_000 }).toBe(1)
    ending.abort()
    expect((await answer).answer).toEqual({ kind: 'none', reason: 'aborted' })
  })

  it('takes no answer about another task for the one asked about', async () => {
    if (!says('id')) return
    const other = await taskId({ task: { taskId: 'task-2' } })
    server.behaviour = done('https://example.com/v.mp4')
    const { answer } = await provider.get(account(), other)
    expect(answer).toMatchObject({ kind: 'unknown' })
  })

  it('says whether it can look up by own id, and then does', async () => {
    if (!provider.can.findByOwnId) return
    const own = { ownId: request.ownId, request }
    server.behaviour = running({})
    server.asked = []
    const { taskId: found } = await provider.find(account(), own)
    expect(found).toBe(await taskId())
    server.asked = []
    server.behaviour = running({ ownId: 'another-1' })
    const { answer } = await provider.find(account(), own)
    expect(answer.kind).toMatch(/^(unknown|working)$/)
    expect(server.asked[0]!.url + server.asked[0]!.raw).toContain(request.ownId)
  })
}

function endsOfProvider({ get, subject, server, says }: Bench): void {
  it('reads every end', async () => {
    const reason = 'no\u0000 such\ud800 luck'
    const failed = await get(ended('failed', reason))
    expect(failed).toMatchObject({ kind: 'failed', error: { code: 'provider_failed' } })
    if (server.answered.at(-1)!.includes('luck'))
      expect(failed).toMatchObject({
        error: { message: expect.stringMatching(/^no[^\p{Cc}\p{Cs}]*luck$/u) },
      })
    for (const [status, codes] of [
      ['blocked', /^(content_policy|provider_failed)$/],
      ['expired', /^(timed_out|provider_failed)$/],
      ['cancelled', /^(cancelled|provider_failed)$/],
    ] as const) {
      const answer = await get(ended(status, ''))
      if (status === 'expired' && answer.kind === 'missing') continue
      expect(answer).toMatchObject({
        kind: 'failed',
        error: { code: expect.stringMatching(codes) },
      })
    }
  })

  it('takes a result while its link lives by the provider’s clock, and calls it timed out after that', async () => {
    const link = 'https://example.com/v.mp4'
    expect(await get(done(link))).toMatchObject({
      kind: 'done',
      videoUrl: says('link') ? link : expect.stringMatching(/^http/),
      expiresAt: subject.tells.expiry ? '2026-01-01T00:01:00.000Z' : null,
    })
    if (!subject.tells.expiry) return
    const past = await get(done(link, at(-60)))
    // where nobody tells when it was done, an expiry of the past is none
    const gone = { kind: 'failed', error: { code: 'timed_out' } }
    expect(past).toMatchObject(subject.tells.completion ? gone : { kind: 'done', expiresAt: null })
    expect(await get(done(link, NaN))).toMatchObject({ kind: 'done', expiresAt: null })
  })

  it('takes no link that cannot be kept or fetched for a result', async () => {
    if (!says('link')) return
    const long = `https://example.com/${'x'.repeat(9_000)}`
    expect(await get(done(long))).toMatchObject({ kind: 'unusable' })
    for (const link of ['https://example.com/\u0000', 'javascript:alert(1)', '', 'not a link'])
      expect(await get(done(link))).toMatchObject({
        kind: 'unusable',
        error: { code: 'no_result' },
      })
  })
}

function redactionOfProvider({ get, create, secrets, server }: Bench): void {
  it('tells no key that a provider repeats', async () => {
    for (const secret of secrets) {
      const failed = JSON.stringify(await get(ended('failed', `Incorrect API key: ${secret}`)))
      if (server.answered.at(-1)!.includes(secret)) expect(failed).toContain('[key]')
      const page = { status: 418, body: `<html>Bearer ${secret}</html>` }
      expect(JSON.stringify(await create(page))).toContain('[key]')
      const unknown = { status: 200, body: JSON.stringify({ key: secret }) }
      expect(JSON.stringify(await get(unknown))).toContain('[key]')
    }
  })
}
