import { expect, it } from 'vitest'
import { keepFile } from './keep-file.ts'
import { noPreviews } from './previews.ts'

it('is called off also while the store does not answer what it keeps', async () => {
  const stop = new AbortController()
  const removed: string[] = []
  const files = {
    put: async () => 1_000_000,
    size: async () => 1_000_000,
    read: () => new Promise<never>(() => {}),
    remove: async (key: string) => void removed.push(key),
  }
  const file = { id: 'v', userId: 'u', attempt: 1, claim: 1, url: 'https://a.example/1' }
  const rest = {
    untilExpiryMs: null,
    sinceAdoptedMs: 0,
    tries: 1,
    provider: 'p',
    taskId: null,
    wasAbandoned: false,
  }
  const keeping = keepFile(
    { ...file, ...rest, account: null },
    {
      files: files as never,
      fetch: async function* () {},
      previews: async () => noPreviews,
      random: () => 0.5,
      signal: stop.signal,
    },
  )
  setTimeout(() => stop.abort(new Error('stopping')), 20)
  await expect(keeping).rejects.toThrow('stopping')
  expect(removed).toEqual(['v-1-1'])
})
