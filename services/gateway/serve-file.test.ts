import { expect, it } from 'vitest'
import { dispositionOf } from './serve-file.ts'

const file = { bytes: 1, sha256: 'x', type: 'video/mp4', storedAt: '2026-01-01T00:00:00.000Z' }
const headFor = (name: string) => dispositionOf({ key: 'x', file, name })
/** As a browser reads it. */
const nameIn = (head: string) =>
  decodeURIComponent(/filename\*=UTF-8''(.*)$/.exec(head)?.[1] ?? '') ||
  (/filename="?(.*?)"?$/.exec(head)?.[1] ?? '')

it('names a file as its scene, whatever that is called', () => {
  expect(nameIn(headFor('片头 “1”/a'))).toBe('片头 “1”/a.mp4')
  expect(headFor('say "hi"')).toBe('inline; filename="say \\"hi\\".mp4"')
  expect(headFor('x\r\nset-cookie: a=b')).toBe('inline; filename="x set-cookie: a=b.mp4"')
  // what turns the text around shows another ending than there is
  expect(nameIn(headFor('a\u202egpj'))).toBe('a gpj.mp4')
  expect(nameIn(headFor('\u202e'))).toBe('video.mp4')
})

it.each(['第', '🎬', 'é', 'a'])('of 500 × %s keeps what a file system takes', (one) => {
  const head = headFor(one.repeat(500))
  expect(head.length).toBeLessThan(1_024)
  const name = nameIn(head)
  expect(name).toBe(`${one.repeat(Math.floor(200 / Buffer.byteLength(one)))}.mp4`)
})
