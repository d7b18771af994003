import { expect, it } from 'vitest'
import { z } from 'zod'
import {
  configuredProviders,
  credentialSettings,
  edgeOptions,
  edgeSettings,
  providerSettings,
} from './settings.ts'

const schema = z.object({ ...edgeSettings, ...providerSettings, ...credentialSettings })
const read = (env: Record<string, string>) => edgeOptions(schema.parse(env))
const configured = (env: Record<string, string>) => configuredProviders(schema.parse(env))

it.each(['https://e.com/v1', ' https://e.com/v1/ ', 'HTTPS://E.com/v1//', 'https://e.com:443/v1'])(
  'keeps %j as one address',
  (TOAPIS_BASE_URL) => {
    expect(read({ TOAPIS_BASE_URL }).trustedBaseUrls?.[0]).toEqual('https://e.com/v1')
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
    proxy: { url: 'http://proxy:3128', except: ['.local', 'e.com'] },
    trustedBaseUrls: expect.arrayContaining(['https://toapis.com/v1', 'http://10.0.0.1/v1']),
  })
})

it('has the first provider on by default, and those that are named in their order', () => {
  const on = (env: Record<string, string>) =>
    configured(env).flatMap((one) => (one.isOn ? [one.name] : []))
  expect(on({})).toEqual(['toapis'])
  expect(on({ PROVIDERS: 'kling, toapis' })).toEqual(['kling', 'toapis'])
  expect(() => on({ PROVIDERS: 'nobody' })).toThrow('use: toapis')
})

it('reads each provider’s settings by one pattern', () => {
  const [kling] = configured({
    PROVIDERS: 'kling',
    KLING_API_KEY: 'k',
    KLING_MODEL: 'kling-2.6',
    KLING_BASE_URL: 'beijing',
  })
  expect(kling).toMatchObject({
    apiKey: 'k',
    model: 'kling-2.6',
    baseUrl: 'https://api-beijing.klingai.com',
  })
  expect(configured({})[0]).toMatchObject({ apiKey: null, values: { FIND_BY_OWN_ID: true } })
})

it('has what the operator set of a budget beside what is declared of it', () => {
  const [toapis] = configured({ TOAPIS_CREATE_PER_MINUTE: '120', TOAPIS_PARALLEL_TASKS: '3' })
  expect(toapis?.budgets).toEqual({
    usual: { queryPerSecond: 50, queryBurst: 500 },
    set: { createPerMinute: 120, parallelTasks: 3 },
  })
  expect(() => configured({ TOAPIS_QUERY_PER_SECOND: '0' })).toThrow('TOAPIS_QUERY_PER_SECOND')
})
