import { describe, expect, it } from 'vitest'
import { blank, blankSecrets, redact } from './redact.ts'

const secret = 'needle/7f&3a+"é9\\c51e8=😀'
const inJson = JSON.stringify(secret).slice(1, -1)
const units = (text: string) =>
  text.replace(/[\s\S]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
const percent = (text: string) =>
  Buffer.from(text).reduce((all, byte) => `${all}%${byte.toString(16).padStart(2, '0')}`, '')

describe('a secret is blanked', () => {
  it.each([
    ['as it is', secret],
    ['in capitals', secret.toUpperCase()],
    ['in JSON', inJson],
    ['in JSON that escapes every solidus', inJson.replaceAll('/', '\\/')],
    ['in JSON as code units', units(secret)],
    ['in JSON that escapes some of it', inJson.replace('n', '\\u006E').replace('&', '\\u0026')],
    ['in JSON within JSON', JSON.stringify(inJson).slice(1, -1)],
    ['in JSON within JSON, escaped', JSON.stringify(inJson.replaceAll('/', '\\/')).slice(1, -1)],
    ['in a link', encodeURIComponent(secret)],
    ['in a link, each byte', percent('needle/7f&3a+"') + secret.slice(14)],
    [
      'in a link within a link',
      encodeURIComponent(encodeURIComponent('needle/7f&3a+"')) + secret.slice(14),
    ],
    ['in HTML', secret.replace('&', '&amp;').replace('"', '&quot;')],
    ['in HTML by numbers', secret.replace('/', '&#47;').replace('+', '&#x2B;')],
    ['in hex', Buffer.from(secret).toString('hex')],
    ['in base64', Buffer.from(`me:${secret}`).toString('base64')],
    ['in base64 for links', Buffer.from(`m:${secret}`).toString('base64url')],
  ])('%s', (_, form) => {
    const told = blankSecrets(`before ${form} after`, [secret])
    expect(told).toContain(blank)
    expect(told.replace(blank, '').length).toBeLessThan(24)
  })

  it('and nothing else of the text', () => {
    const text = 'before % & \\ \\u0041 after'
    expect(blankSecrets(text, [secret])).toBe(text)
  })

  it('where several are, and only they', () => {
    const one = `"a\\n": "${units(secret)}", "b": "&amp;${percent('needle/7f&3a+"')}${secret.slice(14)}"`
    const told = blankSecrets(`${one} \\\\ ${one}`, [secret])
    const blanked = `"a\\n": "${blank}", "b": "&amp;${blank}"`
    expect(told).toBe(`${blanked} \\\\ ${blanked}`)
  })

  it.each([
    ['it looks escaped itself', '%41bcd'],
    ['it has an entity', '&amp;bcd'],
    ['it ends in a backslash', 'needle\\'],
    ['it is long', 'needle/'.repeat(20)],
  ])('where %s', (_, odd) => {
    for (const form of [odd, JSON.stringify(odd).slice(1, -1), encodeURIComponent(odd)])
      expect(blankSecrets(`before ${form} after`, [odd])).not.toContain(form)
  })

  it.each([
    'Bearer abcdefgh12345678',
    'sk-proj-abcdef123',
    'AKIDz8krbsJ5yKBZQ',
    'eyJhbGciOiJI.eyJpc3M.c2ln',
  ])('where it looks like one: %s', (key) =>
    expect(redact(`your key ${key} is bad`)).toBe(`your key ${blank} is bad`),
  )
})

describe('no text takes longer than its length', () => {
  it.each([
    ['backslashes', '\\'],
    ['backslashes before units', '\\\\\\u006e'],
    ['percent signs', '%25'],
    ['entities without an end', '&#0'],
    ['zeros of an entity', '0'],
    ['what a key of somebody’s own repeats', '\\\\\\"'],
  ])('of %s', (_, piece) => {
    const text = `&#${piece.repeat(200_000 / piece.length)}`
    expect(blankSecrets(text, [secret, `${'\\"'.repeat(20)}!`])).toHaveLength(text.length)
  })
})
