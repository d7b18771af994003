import { expect, it } from 'vitest'
import { z } from 'zod'
import { edgeOptions, edgeSettings } from './settings.ts'

const read = (env: Record<string, string>) => edgeOptions(z.object(edgeSettings).parse(env))

it.each(['https://e.com/v1', ' https://e.com/v1/ ', 'HTTPS://E.com/v1//', 'https://e.com:443/v1'])(
  'keeps %j as one address',
  (TOAPIS_BASE_URL) => {
    expect(read({ TOAPIS_BASE_URL }).trustedBaseUrls).toEqual(['https://e.com/v1'])
  },
)

it.each(['e.com', 'ftp://e.com', 'https://u:p@e.com', 'https://e.com/?a=b', 'https://e.com/#a'])(
  'refuses %s',
  (TOAPIS_BASE_URL) => {
    expect(() => read({ TOAPIS_BASE_URL })).toThrow('http or https')
  },
)

it('reads further trusted addresses, the proxy, and what goes past it', () => {
  expect(
    read({
      TRUSTED_BASE_URLS: 'http://10.0.0.1/v1/, http://10.0.0.2',
      PROVIDER_PROXY: 'http://proxy:3128',
      PROVIDER_NO_PROXY: '.local,e.com',
    }),
  ).toMatchObject({
    trustedBaseUrls: ['https://toapis.com/v1', 'http://10.0.0.1/v1', 'http://10.0.0.2'],
    proxy: { url: 'http://proxy:3128', except: ['.local', 'e.com'] },
  })
})
