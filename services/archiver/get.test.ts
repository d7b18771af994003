import type { Dispatcher } from 'undici'
import { expect, it } from 'vitest'
import { get, type Got } from './get.ts'

/** A host of which each request is answered by hand. */
function host() {
  const requests: { handler: Dispatcher.DispatchHandler; controller: Controller }[] = []
  const dispatch: Dispatcher['dispatch'] = (_, handler) => {
    const controller = new Controller()
    requests.push({ handler, controller })
    handler.onRequestStart?.(controller, {})
    return true
  }
  return { dispatcher: { dispatch }, requests }
}

class Controller implements Dispatcher.DispatchController {
  aborted = false
  paused = false
  reason: Error | null = null
  rawHeaders = null
  rawTrailers = null
  abort(reason: Error): void {
    this.aborted = true
    this.reason = reason
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
}

const piece = Buffer.alloc(16 * 1024)
const { dispatcher, requests } = host()

function ask() {
  const stop = new AbortController()
  const asked = { dispatcher, headers: {}, stallMs: 1_000, signal: stop.signal }
  const got = get(new URL('http://files.test/film.mp4'), asked)
  got.catch(() => {})
  const { handler, controller } = requests.at(-1)!
  const head = () => handler.onResponseStart?.(controller, 200, {}, 'OK')
  const end = () => handler.onResponseEnd?.(controller, {})
  const fail = () => handler.onResponseError?.(controller, new Error('ECONNRESET'))
  const data = (bytes = piece) => handler.onResponseData?.(controller, bytes)
  return { stop, got, controller, head, data, end, fail }
}
type Asked = ReturnType<typeof ask>

/** How much of a body that nobody reads is taken before its sender is told to wait. */
function heldOf({ controller, data }: Asked): number {
  let bytes = 0
  for (; !controller.paused; bytes += piece.length) data()
  return bytes
}

const readToEnd = async (got: Promise<Got>) => {
  for await (const _ of (await got).body);
}

const ends: [string, (asked: Asked) => unknown][] = [
  ['read to their end', ({ head, end, got }) => (head(), end(), readToEnd(got))],
  ['cancelled', async ({ head, got }) => (head(), (await got).body.cancel())],
  [
    'cancelled after their end',
    async ({ head, end, got }) => (head(), end(), (await got).body.cancel()),
  ],
  ['broken off', ({ head, fail, got }) => (head(), fail(), readToEnd(got).catch(() => {}))],
  ['called off', ({ head, stop, fail }) => (head(), stop.abort(new Error('called off')), fail())],
  ['called off before their head', ({ head, stop }) => (stop.abort(), head())],
  ['answered by errors', ({ fail }) => fail()],
]

const heldAlone = () => {
  const one = ask()
  one.head()
  const bytes = heldOf(one)
  one.stop.abort(new Error('enough'))
  return bytes
}

it('lets a body wait in 256 KiB, and in less while many are received', () => {
  expect(heldAlone()).toBe(256 * 1024)
  const many = Array.from({ length: 100 }, () => ask())
  for (const { head } of many) head()
  expect(heldAlone()).toBeLessThan(128 * 1024)
  for (const { end } of many) end()
  expect(heldAlone()).toBe(256 * 1024)
})

it('lets few pieces wait of a host that sends one byte at a time', () => {
  const { head, data, controller } = ask()
  head()
  let pieces = 0
  for (; !controller.paused; pieces++) data(Buffer.alloc(1))
  expect(pieces).toBeLessThan(1_000)
})

it.each(ends)('has as much for others again, once bodies were %s', async (_, finish) => {
  for (let i = 0; i < 100; i++) await finish(ask())
  expect(heldAlone()).toBe(256 * 1024)
})
