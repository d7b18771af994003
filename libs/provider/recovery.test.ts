import { expect, it } from 'vitest'
import { canAt } from './recovery.ts'
import { Providers } from './providers.ts'
import { declarationOf, describeProviders, providerNames, settingPrefix } from './registry.ts'
import { configuredProviders } from './settings.ts'

const setUp = (name: string, more: object = {}) => {
  const config = { PROVIDERS: [name], ...more }
  const all = configuredProviders(config)
  const provider = new Providers(all, { createTimeoutMs: 1, getTimeoutMs: 1 }).of(name)!
  return { provider, told: describeProviders(all)[0]! }
}
const recovers = ({ findByOwnId, repeatMs, listMs }: ReturnType<typeof canAt>) =>
  findByOwnId || repeatMs !== undefined || listMs !== undefined
const reseller = 'https://reseller.example.com/kling/v1'
const ownAddresses = (name: string) => {
  const { baseUrl, regions = {} } = declarationOf(name)!
  return [baseUrl, ...Object.values(regions)]
}

it.each(providerNames.filter((name) => name !== 'toapis'))(
  '%s recovers lost creates at its own addresses, and at a reseller’s only where that is on',
  (name) => {
    const { provider, told } = setUp(name)
    for (const baseUrl of ownAddresses(name)) {
      expect(canAt(provider, { baseUrl })).toEqual(provider.can)
      expect(recovers(canAt(provider, { baseUrl }))).toBe(told.guarantee !== 'none')
    }
    for (const baseUrl of [reseller, `https://${new URL(told.baseUrl).host}.example.com/v1`])
      expect(recovers(canAt(provider, { baseUrl }))).toBe(false)
    const prefix = settingPrefix(name)
    const there = { [`${prefix}BASE_URL`]: reseller }
    expect(setUp(name, there).told.guarantee).toBe('none')
    const on = setUp(name, { ...there, [`${prefix}LOOK_UP_ANYWHERE`]: true })
    expect(on.told.guarantee).toBe(told.guarantee)
    expect(canAt(on.provider, { baseUrl: reseller })).toEqual(provider.can)
  },
)

it.each([
  ['ark', 'https://ark.ap-southeast.bytepluses.com/api/v3'],
  ['kling', 'https://api.klingai.com'],
  ['dashscope', 'https://w1.ap-southeast-1.maas.aliyuncs.com/api/v1'],
  ['toapis', reseller],
])('%s recovers them at %s', (name, baseUrl) => {
  expect(recovers(canAt(setUp(name).provider, { baseUrl }))).toBe(true)
})
