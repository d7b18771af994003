/** What a list says of a lost create, and what an answer to a cancel means. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { makePlain, startSaid, type Says } from '../../test/support/said-by-path.ts'
import type { Dialect } from './edge/dialect.ts'
import { pageNumbers } from './edge/listing.ts'
import type { Lost } from './provider.ts'

let server: Awaited<ReturnType<typeof startSaid>>
beforeAll(async () => {
  server = await startSaid()
})
afterAll(() => server.close())
beforeEach(() => {
  server.now.asked = []
  server.now.says = {}
})
const account = () => ({ baseUrl: server.baseUrl, apiKey: 'sk-needle-of-this-test' })

/** Repeats no prompt. */
const task = { id: ['id'], status: ['status'], links: [], reason: [] }

const lost: Lost = {
  request: { ownId: 'own-1', model: 'm', prompt: ' a lighthouse ' },
  from: 1_000_000_000_000,
  until: 1_000_000_060_000,
  known: new Set(['of-another']),
}
const list = {
  reachMs: 86_400_000,
  ask: ({ cursor }: { cursor: string | null }) => ({ path: `/list?page=${cursor ?? 1}` }),
  items: 'items[]',
  next: pageNumbers('items[]'),
  createdAt: ['at'],
  model: ['model'],
  prompt: ['prompt'],
}
const item = (id: string, more: object = {}) => ({ id, at: 1_000_000_030, model: 'm', ...more })
const ours = { prompt: 'a lighthouse' }
const pages = (...all: object[][]) => {
  const says = [...all, []].map((items, i) => [`/list?page=${i + 1}`, [200, { items }]] as const)
  server.now.says = Object.fromEntries(says) as unknown as Says
}
const search = (more: object = {}, dialect: Partial<Dialect> = {}) =>
  makePlain({ list: { ...list, ...more }, ...dialect }).search(account(), lost)

describe('a lost create in a list', () => {
  it('is the one that fits, on whichever page', async () => {
    pages([item('a', { prompt: 'x' }), item('b', { model: 'n' })], [item('c', ours)])
    expect(await search()).toEqual({ kind: 'found', taskId: 'c' })
  })

  it('is absent where the list was read to its end and holds nothing like it', async () => {
    pages([item('a', { prompt: 'x' }), item('of-another', ours)], [item('c', { ...ours, at: 1 })])
    expect(await search()).toEqual({ kind: 'absent' })
  })

  it('is nobody’s where two fit', async () => {
    pages([item('a', ours), item('b', ours)], [])
    expect((await search()).kind).toBe('doubtful')
  })

  it('is what has its very prompt, beside those that only begin like it', async () => {
    const longer = { prompt: 'a lighthouse, at night' }
    pages([item('a', longer), item('b', ours), item('c', { prompt: 'a light' })])
    expect(await search({}, { task })).toEqual({ kind: 'found', taskId: 'b' })
    pages([item('a', longer)])
    expect((await search({}, { task })).kind).toBe('doubtful')
  })

  it('is found by its mark alone, within a longer text and never within a longer id', async () => {
    const hook = (own: string) => ({ hook: `https://r.example.com/webhooks/p/${own}/tag?a=b` })
    pages([item('a', hook('own-11')), item('b', hook('own-1'))], [])
    expect(await search({ mark: ['hook'] })).toEqual({ kind: 'found', taskId: 'b' })
    pages([item('a', hook('own-11'))])
    expect(await search({ mark: ['hook'] })).toEqual({ kind: 'absent' })
  })

  it('is not called absent while something without a mark may be it', async () => {
    const marked = { mark: ['hook'], mayLackMark: true }
    pages([item('a', { hook: 'own-2' }), item('b')], [])
    expect((await search(marked, { task })).kind).toBe('doubtful')
    expect(await search({ mark: ['hook'] })).toEqual({ kind: 'absent' })
    pages([item('b'), item('c', { hook: 'own-1' })], [])
    expect(await search(marked)).toEqual({ kind: 'found', taskId: 'c' })
  })

  it('is confirmed by asking for each that may be it', async () => {
    pages([item('a'), item('b')], [])
    server.now.says['/tasks/a'] = [200, { id: 'a', status: 'running', prompt: 'x' }]
    server.now.says['/tasks/b'] = [200, { id: 'b', status: 'running', ...ours }]
    expect(await search({ prompt: undefined })).toEqual({ kind: 'found', taskId: 'b' })
    server.now.says['/tasks/b'] = [200, { id: 'b', status: 'running' }]
    expect(await search({ prompt: undefined })).toMatchObject({ kind: 'doubtful' })
  })
})

describe('what proves no absence', () => {
  it('is found on a page behind one that holds less than was asked for', async () => {
    pages([item('a', { prompt: 'x' })], [item('b', { prompt: 'x' })], [item('c', ours)])
    expect(await search()).toEqual({ kind: 'found', taskId: 'c' })
  })

  it.each([
    ['cut', 'a light'],
    ['added to', 'a lighthouse --ratio 9:16'],
    ['with other blanks and signs', 'a\u00a0 lighthouse.'],
    ['in another form of Unicode', 'ａ lighthouse'],
  ])('is not called absent while a task has its prompt %s', async (_, prompt) => {
    for (const more of [{ prompt }, {}]) {
      pages([item('a', more)])
      server.now.says['/tasks/a'] = [200, { id: 'a', status: 'running', prompt }]
      expect((await search()).kind).toBe('doubtful')
    }
  })

  it.each([
    ['a page fails', { '/list?page=2': [500, {}] }, 'none'],
    ['a page says an error with 200', { '/list?page=2': [200, { code: 'oops' }] }, 'none'],
    ['a page asks to wait', { '/list?page=2': [503, { code: 'busy' }] }, 'later'],
    ['a page holds no list', { '/list?page=2': [200, { data: [] }] }, 'none'],
    ['an item cannot be read', { '/list?page=2': [200, { items: [{ at: 1 }] }] }, 'none'],
  ] as [string, Says, string][])('proves nothing where %s', async (_, second, kind) => {
    pages([item('a', { prompt: 'x' }), item('b', { prompt: 'x' })])
    Object.assign(server.now.says, second)
    expect(await search()).toMatchObject({ kind })
  })
})

describe('a cancel', () => {
  const cancel: Dialect['cancel'] = {
    when: 'any',
    ask: (id) => ({ method: 'DELETE', path: `/tasks/${id}` }),
    tooLateCodes: ['late'],
  }
  it.each([
    [200, {}, 'cancelled'],
    [204, undefined, 'cancelled'],
    [200, { code: 'late' }, 'too_late'],
    [409, {}, 'too_late'],
    [404, { code: 'gone' }, 'too_late'],
    [429, {}, 'later'],
    [401, {}, 'none'],
    [502, {}, 'none'],
  ])('%i %j', async (status, body, kind) => {
    server.now.says['/tasks/a'] = [status, body]
    const provider = makePlain({ cancel })
    expect(provider.can.cancel).toBe('any')
    expect(await provider.cancel(account(), 'a')).toMatchObject({ kind })
  })
})
