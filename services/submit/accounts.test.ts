import { expect, it, vi } from 'vitest'
import { encrypt } from '#libs/runtime/secrets.ts'
import { SendingAccounts } from './accounts.ts'

const [former, current] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
const sealed = { baseUrl: 'https://example.com', keyCipher: encrypt('sk-x', [former]) }

it('names an account by the present key, and by the former ones, too', () => {
  const [before, while_, after] = [[former], [current, former], [current]].map((keys) =>
    new SendingAccounts(keys as [Buffer]).open({
      ...sealed,
      keyCipher: encrypt('sk-x', keys as [Buffer]),
    }),
  )
  expect(while_).toMatchObject({ id: after!.id, formerIds: [before!.id] })
  expect(after!.formerIds).toEqual([])
})

it('takes a proof under a former id for one, and notes it under the present id', async () => {
  const accounts = new SendingAccounts([current, former])
  const { id, formerIds } = accounts.open(sealed)!
  const proven = new Set(formerIds)
  const prove = vi.fn(async (one: string) => void proven.add(one))
  const isProven = async (ids: string[]) => ids.some((one) => proven.has(one))
  expect(await accounts.isProven({ isProven, prove }, { id, formerIds }, 'toapis')).toBe(true)
  expect(prove).toHaveBeenCalledExactlyOnceWith(id, 'toapis')
  const other = { id: 'other', formerIds: [] }
  expect(await accounts.isProven({ isProven, prove }, other, 'toapis')).toBe(false)
})
