/**
 * What every adapter has to keep, whatever its provider's words: run by each adapter's test against
 * a server that says them. A create is one request, never repeated by itself; what is not
 * recognised is unknown; what is told can be recorded; no key is in any answer.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ErrorCode } from '#libs/scene-video/scene-video.ts'
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'

export interface Said {
  status: number
  headers?: Record<string, string>
  body: string
}

/** A provider's own words for what the port can mean. Instants are Unix milliseconds. */
export interface Words {
  /** False where a create carries no id of ours. */
  sendsOwnId?: false
  /** False where an answer tells no expiry of a link, or no progress. */
  tellsExpiry?: false
  tellsProgress?: false
  accepted(taskId: string): Said[]
  refused: Partial<Record<ErrorCode, Said>>
  later(retryAfter?: string): Said[]
  working(phase: 'queued' | 'running', progress: number | null): Said
  done(url: string, expiresAt: number): Said
  /** Failed, for a reason it puts into `message`. */
  failed(message: string): Said
  missing(): Said
  badKey(): Said
  /** Readable, with a status nobody has heard of. */
  strange(): Said
}

interface Asked {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: string
}

type Behaviour = Said | 'reset' | 'hang' | 'cut'
const timeoutMs = 1_500
const apiKey = 'sk-secret-of-the-test'
const request = { ownId: '0192-1', model: 'm', prompt: 'p' }

export function conformance(
  name: string,
  make: (options: { createTimeoutMs: number; getTimeoutMs: number }) => Provider,
  words: Words,
): void {
  describe(`${name}, as every provider`, () => {
    let behaviour: Behaviour = words.missing()
    let asked: Asked[] = []
    const provider = make({ createTimeoutMs: timeoutMs, getTimeoutMs: timeoutMs })
    const server = createServer((incoming, response) => {
      let body = ''
      incoming.on('data', (chunk: Buffer) => (body += chunk.toString()))
      incoming.on('end', () => {
        asked.push({
          method: incoming.method ?? '',
          url: incoming.url ?? '',
          headers: incoming.headers,
          body,
        })
        behave(response, behaviour)
      })
    })
    let account = { baseUrl: '', apiKey }
    beforeAll(async () => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      account = {
        ...account,
        baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
      }
    })
    afterAll(async () => {
      await provider[Symbol.asyncDispose]()
      server.closeAllConnections()
      server.close()
    })
    beforeEach(() => void (asked = []))

    const create = async (now: Behaviour) => {
      behaviour = now
      const answer = await provider.create(account, request)
      expect(asked.length, 'requests for one create').toBe(1)
      expect(JSON.stringify(answer)).not.toContain(apiKey)
      return answer
    }
    const get = async (now: Behaviour): Promise<TaskAnswer> => {
      behaviour = now
      const { answer } = await provider.get(account, 'task-1')
      expect(JSON.stringify(answer)).not.toContain(apiKey)
      return answer
    }
    const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toUTCString()
    const dated = (said: Said): Said => ({ ...said, headers: { ...said.headers, date: at(0) } })

    it('reads an acceptance in every form, having sent its own id and the key', async () => {
      for (const said of words.accepted('task-1')) {
        asked = []
        expect(await create(said)).toEqual({ kind: 'accepted', taskId: 'task-1' })
        if (words.sendsOwnId !== false) expect(asked[0]!.body).toContain(request.ownId)
        expect(asked[0]!.headers.authorization).toContain(apiKey)
        expect(asked[0]!.headers['user-agent']).toContain('reelkeeper')
      }
    })

    it.each(Object.keys(words.refused))('reads a refusal: %s', async (code) => {
      expect(await create(words.refused[code as ErrorCode]!)).toMatchObject({
        kind: 'refused',
        error: { code },
      })
    })

    it('reads "later", with its Retry-After in seconds, as a date, absurd or absent', async () => {
      for (const [header, ms] of [
        ['7', 7_000],
        [at(90), 90_000],
        [at(-90), 0],
        ['99999999', 3_600_000],
        ['soon', null],
        ['-5', null],
        [undefined, null],
      ] as const) {
        for (const said of words.later(header)) {
          asked = []
          expect(await create(dated(said))).toMatchObject({ kind: 'later', retryAfterMs: ms })
          expect(await get(dated(said))).toEqual({ kind: 'later', retryAfterMs: ms })
        }
      }
    })

    it.each([
      ['a time-out', 'hang'],
      ['a reset after the request was read', 'reset'],
      ['half a body', 'cut'],
      ['a page of HTML', { status: 502, body: '<html>' }],
      ['408', { status: 408, body: '' }],
    ] as [string, Behaviour][])(
      'does not know what became of a create after %s',
      async (_what, now) => {
        expect(await create(now)).toMatchObject({ kind: 'unknown' })
      },
    )

    it.each([
      ['half of JSON', { status: 200, body: '{"id": "vid' }],
      ['no id', { status: 201, body: '{}' }],
      ['an id that cannot be kept', words.accepted('task\u0000')[0]!],
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
      behaviour = words.accepted('task-1')[0]!
      const late = await provider.create(account, request, { mayWrite: () => false })
      const gone = await provider.create(account, request, { signal: AbortSignal.abort() })
      expect([late.kind, gone.kind]).toEqual(['later', 'later'])
      expect(asked).toEqual([])
    })

    it('is ended by its caller while it is open', async () => {
      behaviour = 'hang'
      const ending = new AbortController()
      const answer = provider.get(account, 'task-1', { signal: ending.signal })
      await expect.poll(() => asked.length).toBe(1)
      ending.abort()
      expect((await answer).answer).toEqual({ kind: 'none', reason: 'aborted' })
    })

    it('takes no answer about another task for the one asked about', async () => {
      behaviour = words.done('https://example.com/v.mp4', Date.parse(at(60)))
      const { answer } = await provider.get(account, 'task-2')
      expect(answer).toMatchObject({ kind: 'unknown' })
    })

    it('tells no key that a provider repeats', async () => {
      for (const [said, ask] of [
        [words.failed(`Incorrect API key provided: ${apiKey}`), get],
        [{ status: 418, body: `<html>Bearer ${apiKey}</html>` }, create],
        [{ status: 200, body: JSON.stringify({ key: apiKey }) }, get],
      ] as [Said, (now: Behaviour) => Promise<unknown>][]) {
        asked = []
        expect(JSON.stringify(await ask(said))).toContain('[key]')
      }
    })

    it('knows that a refused connection carried nothing', async () => {
      expect(
        await provider.create({ baseUrl: 'http://127.0.0.1:1/v1', apiKey }, request),
      ).toMatchObject({ kind: 'later' })
    })

    it('reads the course of a task', async () => {
      expect(await get(words.working('queued', null))).toMatchObject({
        kind: 'working',
        phase: 'queued',
      })
      expect(await get(words.working('running', 42.9))).toEqual({
        kind: 'working',
        phase: 'running',
        progress: words.tellsProgress === false ? null : 42,
      })
      expect(await get(words.working('running', 4_000))).toEqual({
        kind: 'working',
        phase: 'running',
        progress: null,
      })
      expect(await get(words.failed('no\u0000 such\ud800 luck'))).toMatchObject({
        kind: 'failed',
        error: {
          code: 'provider_failed',
          message: expect.stringMatching(/^no[^\p{Cc}\p{Cs}]*luck$/u),
        },
      })
      expect(await get(words.missing())).toEqual({ kind: 'missing' })
    })

    it('takes a result while its link lives by the provider’s clock, and calls it timed out after that', async () => {
      const said = (seconds: number) =>
        dated(words.done('https://example.com/v.mp4', Date.parse(at(seconds))))
      expect(await get(said(60))).toMatchObject({
        kind: 'done',
        videoUrl: 'https://example.com/v.mp4',
        expiresAt: words.tellsExpiry === false ? null : '2026-01-01T00:01:00.000Z',
      })
      if (words.tellsExpiry === false) return
      expect(await get(said(-60))).toMatchObject({ kind: 'failed', error: { code: 'timed_out' } })
      expect(await get(said(1e13))).toMatchObject({ kind: 'done', expiresAt: null })
    })

    it('does not take a key that is refused, or trouble, for absence', async () => {
      for (const now of [
        words.badKey(),
        'hang',
        'reset',
        'cut',
        { status: 500, body: '' },
        { status: 404, body: '<html>' },
        { status: 200, body: 'not json' },
      ] as Behaviour[]) {
        expect(await get(now)).toMatchObject({ kind: 'none' })
      }
    })

    it('does not guess: a strange word is unknown, a link that cannot be kept no result', async () => {
      expect(await get(words.strange())).toMatchObject({
        kind: 'unknown',
        body: expect.any(String),
      })
      expect(
        await get(words.done(`https://example.com/${'x'.repeat(9_000)}`, Date.parse(at(60)))),
      ).toMatchObject({ kind: 'unusable' })
      for (const link of ['https://example.com/\u0000', 'javascript:alert(1)', '', 'not a link'])
        expect(await get(words.done(link, Date.parse(at(60))))).toMatchObject({
          kind: 'unusable',
          error: { code: 'no_result' },
        })
    })

    it('says whether it can look up by own id, and then does', async () => {
      behaviour = words.working('running', null)
      if (!provider.can.findByOwnId) return
      expect((await provider.find(account, request.ownId)).taskId).not.toBeNull()
      expect(asked[0]).toMatchObject({ method: 'GET', url: expect.stringContaining(request.ownId) })
    })
  })
}

function behave(response: ServerResponse, behaviour: Behaviour): void {
  if (behaviour === 'hang') return
  if (behaviour === 'reset') return void response.socket?.destroy()
  if (behaviour === 'cut') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 500 })
    response.write('{"id": "task-1", ')
    setTimeout(() => response.socket?.destroy(), 20)
    return
  }
  response
    .writeHead(behaviour.status, { 'content-type': 'application/json', ...behaviour.headers })
    .end(behaviour.body)
}
