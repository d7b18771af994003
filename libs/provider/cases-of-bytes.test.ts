/**
 * What is made of an answer to a create, and of the bytes of any: each kind as a server says it.
 * One adapter stands for all, since all send and read through the same edge.
 */
import zlib from 'node:zlib'
import {
  done,
  link,
  says,
  startCases,
  type Cases,
  type Serve,
} from '../../test/support/provider-cases.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
const packed = JSON.stringify(done(link))
const big = 'A'.repeat(1_500_000)
const json = { 'content-type': 'application/json' }

let cases: Cases
beforeAll(async () => {
  cases = await startCases()
})
afterAll(() => cases[Symbol.asyncDispose]())

describe('an answer to a create', () => {
  const refused = (code: string, text: string) => ({
    kind: 'refused',
    error: { code, message: expect.stringContaining(text) },
  })
  const quota = { error: { code: 'insufficient_user_quota', message: 'used up' } }
  it.each([
    ['403 with a code', says(quota, 403), refused('insufficient_balance', 'used up')],
    ['403 as HTML', says('<h1>error 1010</h1>', 403), refused('invalid_request', '1010')],
    [
      '404 of a model',
      says({ error: { code: 'model_not_found', message: 'no model' } }, 404),
      refused('invalid_request', 'no model'),
    ],
    [
      '451, flat',
      says({ code: 'fail_to_fetch_task', message: 'a role', data: null }, 451),
      refused('invalid_request', 'a role'),
    ],
    [
      '413 as HTML',
      says('<html><body><h1>413 Too Large</h1></body></html>', 413),
      refused('invalid_request', '413'),
    ],
    ['409 as text', says('conflict', 409), refused('invalid_request', 'conflict')],
    ['301', says('', 301, { location: '/v2/' }), refused('invalid_request', '/v2/')],
    [
      '302 elsewhere',
      says('', 302, { location: 'https://e.com/x' }),
      refused('invalid_request', 'https://e.com/x'),
    ],
    ['308 to nowhere', says('', 308), refused('invalid_request', '308')],
    ['200 that is an error', says({ error: 'no credit' }), refused('invalid_request', 'no credit')],
    ['200 in a new shape', says({ remaining: 30, media: [{ name: 'x' }] }), { kind: 'unreadable' }],
    ['200 without anything', says('', 200), { kind: 'unreadable' }],
    ['200 as an envelope without a task', says({ code: 200, data: [] }), { kind: 'unreadable' }],
    [
      'an id of 64 bits',
      says('{"id": 9007199254740993123, "status": "queued"}'),
      { kind: 'accepted', taskId: '9007199254740993123' },
    ],
    [
      'one in an envelope',
      says('{"code":200,"data":[{"task_id":-9223372036854775808}]}'),
      { kind: 'accepted', taskId: '-9223372036854775808' },
    ],
    ['an id as a number', says({ id: 90210 }), { kind: 'accepted', taskId: '90210' }],
    [
      'gzip',
      says(zlib.gzipSync('{"id":"g"}'), 200, { 'content-encoding': 'gzip' }),
      { kind: 'accepted', taskId: 'g' },
    ],
    [
      '429 of an empty account',
      says({ error: { code: 'insufficient_quota', message: 'pay' } }, 429),
      refused('insufficient_balance', 'pay'),
    ],
    ['503 in words of its own', says({ error: { code: 'overloaded' } }, 503), { kind: 'unknown' }],
  ] as [string, Serve, object][])('%s', async (_name, now, meaning) => {
    expect(await cases.create(now)).toMatchObject(meaning)
    expect(cases.seen()).toHaveLength(1)
    expect(cases.seen()[0]!.headers['user-agent']).toMatch(/^reelkeeper/)
  })
})

describe('bytes of an answer', () => {
  const utf16 = Buffer.from(packed, 'utf16le')
  it.each([
    ['a BOM', says(`\ufeff${packed}`)],
    ['UTF-16 with a BOM', says(Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]))],
    ['UTF-16, big-endian', says(Buffer.from(utf16).swap16())],
    [
      'GBK',
      says(
        Buffer.from([
          ...Buffer.from('{"id":"t","note":"'),
          0xca,
          0xd3,
          ...Buffer.from(`",${packed.slice(1)}`),
        ]),
        200,
        { 'content-type': 'application/json; charset=gbk' },
      ),
    ],
    ['gzip', says(zlib.gzipSync(packed), 200, { 'content-encoding': 'gzip' })],
    ['raw deflate', says(zlib.deflateRawSync(packed), 200, { 'content-encoding': 'deflate' })],
    ['deflate', says(zlib.deflateSync(packed), 200, { 'content-encoding': 'deflate' })],
    ['brotli', says(zlib.brotliCompressSync(packed), 200, { 'content-encoding': 'br' })],
    ['zstd', says(zlib.zstdCompressSync(packed), 200, { 'content-encoding': 'zstd' })],
    [
      'two encodings',
      says(zlib.gzipSync(zlib.brotliCompressSync(packed)), 200, { 'content-encoding': 'br, gzip' }),
    ],
    ['201', says(packed, 201)],
    ['202', says(packed, 202)],
    ['206', says(packed, 206)],
    ['1.5 MB around it', says(done(link, { picture: big }))],
    [
      '1.5 MB around it, packed',
      says(zlib.gzipSync(JSON.stringify(done(link, { picture: big }))), 200, {
        'content-encoding': 'gzip',
      }),
    ],
  ] as [string, Serve][])('%s', async (_name, now) => {
    expect(await cases.get(now)).toMatchObject({ kind: 'done', videoUrl: link })
    expect(cases.seen()[0]!.headers['cache-control']).toBe('no-cache')
  })

  it.each([
    ['9 MB', says(done(link, { picture: big.repeat(6) }))],
    [
      'a bomb',
      says(zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024)), 200, { 'content-encoding': 'gzip' }),
    ],
    ['an encoding nobody knows', says('x'.repeat(9), 200, { 'content-encoding': 'sdch' })],
    ['a file as base64', says(done(`data:video/mp4;base64,${big.repeat(3)}`))],
  ] as [string, Serve][])('ends with a reason: %s', async (_name, now) => {
    expect(await cases.get(now)).toMatchObject({ kind: 'unusable', error: { code: 'no_result' } })
  })

  it('drips, and is ended at the one bound of the whole request', async () => {
    let timer: NodeJS.Timeout | undefined
    const answer = await cases.get((_, response) => {
      response.writeHead(200, json)
      timer = setInterval(() => response.write(' '), 100)
    })
    clearInterval(timer)
    expect(answer).toEqual({ kind: 'none', reason: 'timed out' })
  })
})
