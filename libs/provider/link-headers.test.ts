import { afterAll, describe, expect, it } from 'vitest'
import { Providers } from './providers.ts'
import { configuredProviders } from './settings.ts'

const providers = new Providers(configuredProviders({ PROVIDERS: [] }), {
  createTimeoutMs: 1_000,
  getTimeoutMs: 1_000,
})
afterAll(() => providers[Symbol.asyncDispose]())

describe('a link that needs the key', () => {
  const google = { baseUrl: 'https://generativelanguage.googleapis.com/v1beta', apiKey: 'AIza-1' }
  const router = { baseUrl: 'https://openrouter.ai/api/v1', apiKey: 'sk-or-1' }
  it.each([
    ['gemini', google, 'https://generativelanguage.googleapis.com/v1beta/files/a:download'],
    ['openrouter', router, 'https://openrouter.ai/api/v1/videos/a/content?index=0'],
  ])('is given it at the address of its account: %s', async (provider, account, link) => {
    const headers = await providers.of(provider)!.linkHeaders(account, link)
    expect(Object.values(headers!).join()).toContain(account.apiKey)
  })

  it.each([
    ['openrouter', router, 'https://cdn.example.com/a.mp4'],
    // without TLS everybody on the way would have it
    ['openrouter', router, 'http://openrouter.ai/api/v1/videos/a'],
    ['openrouter', router, 'https://openrouter.ai:8443/api/v1/videos/a'],
    ['openrouter', router, 'https://openrouter.ai.evil.example/a'],
    ['vertex', google, 'https://storage.googleapis.com.evil.example/b/a.mp4'],
    ['vertex', google, 'http://storage.googleapis.com/b/a.mp4'],
    ['toapis', router, 'https://openrouter.ai/api/v1/videos/a'],
  ])('and no other is: %s %j %s', async (provider, account, link) => {
    expect(await providers.of(provider)!.linkHeaders(account, link)).toEqual({})
  })
})
