/** What an adapter makes of every answer to a create. */
import { expect, it } from 'vitest'
import type { ErrorCode } from '#libs/scene-video/scene-video.ts'
import type { TroubleKind } from '#services/provider-simulator/dialect.ts'
import type { Bench } from './provider-bench.ts'
import { taskId, type Behaviour } from './scripted-provider.ts'

const refusals: [TroubleKind, ErrorCode][] = [
  ['invalid', 'invalid_request'],
  ['bad_key', 'bad_key'],
  ['balance', 'insufficient_balance'],
  ['policy', 'content_policy'],
]
export const day = (seconds: number): string =>
  new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toUTCString()
export const waits = [
  ['7', 7_000],
  [day(90), 90_000],
  [day(-90), 0],
  ['99999999', 3_600_000],
  ['soon', null],
  ['-5', null],
  [undefined, null],
] as const
export const throttled = (kind: TroubleKind, retryAfter: string | undefined): Behaviour => ({
  trouble: [kind, 'why', retryAfter],
  headers: { date: day(0) },
})

export function createsOfProvider(bench: Bench): void {
  const { create, server, provider, request, account } = bench

  it('reads an acceptance, having sent the key and, where it is looked up by, its own id', async () => {
    const accepted = await create({})
    expect(accepted).toEqual({ kind: 'accepted', taskId: expect.stringContaining(taskId) })
    const { raw, isKnown, headers } = server.asked[0]!
    if (provider.can.findByOwnId) expect(raw).toContain(request.ownId)
    expect(isKnown).toBe(true)
    expect(headers['user-agent']).toContain('reelkeeper')
  })

  it.each(refusals.filter(([kind]) => bench.says(kind)))(
    'reads a refusal: %s',
    async (kind, code) => {
      const answer = await create({ trouble: [kind, 'why'] })
      expect(answer).toMatchObject({ kind: 'refused', error: { code } })
    },
  )

  it('reads "later", with its Retry-After in seconds, as a date, absurd or absent', async () => {
    for (const [header, retryAfterMs] of waits)
      for (const kind of ['throttled', 'parallel'] as const)
        expect(await create(throttled(kind, header))).toMatchObject({ kind: 'later', retryAfterMs })
    expect((await create(throttled('busy', '7'))).kind).toMatch(/^(later|unknown)$/)
  })

  it.each([
    ['a time-out', 'hang'],
    ['a reset after the request was read', 'reset'],
    ['half a body', 'cut'],
    ['a page of HTML', { status: 502, body: '<html>' }],
    ['408', { status: 408, body: '' }],
    ['its own internal error', { trouble: ['internal', 'why'] }],
  ] as [string, Behaviour][])('does not know what became of it after %s', async (_what, now) => {
    expect(await create(now)).toMatchObject({ kind: 'unknown' })
  })

  it.each([
    ['half of JSON', { status: 200, body: '{"id": "vid' }],
    ['no id', { status: 201, body: '{}' }],
    ...(bench.says('raw')
      ? [['an id that cannot be kept', { task: { taskId: 'task\u0000' } }]]
      : []),
    ['a page of HTML', { status: 200, body: '<html>hello</html>' }],
    ['nothing', { status: 204, body: '' }],
  ] as [string, Behaviour][])('cannot read a 2xx with %s', async (_what, now) => {
    expect(await create(now)).toMatchObject({ kind: 'unreadable' })
  })

  it.each([
    ['a refusal without its code', { status: 422, body: '' }, '422'],
    ['a refusal with a code of its own', { status: 418, body: '<html>teapot</html>' }, 'teapot'],
    ['a redirect', { status: 307, headers: { location: '/elsewhere' }, body: '' }, '/elsewhere'],
  ] as [string, Behaviour, string][])('is refused by %s, and says it', async (_, now, text) => {
    expect(await create(now)).toMatchObject({
      kind: 'refused',
      error: { code: 'invalid_request', message: expect.stringContaining(text) },
    })
  })

  it('hands nothing to the socket once its time has passed, or its caller has gone', async () => {
    server.behaviour = {}
    const late = await provider.create(account(), request, { mayWrite: () => false })
    const gone = await provider.create(account(), request, { signal: AbortSignal.abort() })
    expect([late.kind, gone.kind]).toEqual(['later', 'later'])
    expect(server.asked).toEqual([])
  })

  it('knows that a refused connection carried nothing', async () => {
    const nowhere = { ...account(), baseUrl: 'http://127.0.0.1:1/base' }
    expect(await provider.create(nowhere, request)).toMatchObject({ kind: 'later' })
  })
}
