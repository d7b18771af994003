import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { unixMs } from '#libs/runtime/clock.ts'
import { StreamTokens } from './stream-token.ts'

const tokens = new StreamTokens([randomBytes(32)])
const asker = { userId: 'user', name: 'a JWT', scopes: ['read' as const] }
const seconds = () => Math.floor(unixMs() / 1_000)

it('is good for as long as is asked for, and no longer than what it was made with', async () => {
  const until = seconds() + 60
  const issued = await tokens.issue({ ...asker, until }, 3_600)
  expect(Date.parse(issued.expiresAt)).toBe(until * 1_000)
  expect(issued.expiresInSeconds).toBeLessThanOrEqual(60)
  expect(await tokens.verify(issued.token)).toMatchObject({ userId: 'user', until })
  const free = await tokens.issue(asker, 3_600)
  expect(free.expiresInSeconds).toBe(3_600)
  const over = await tokens.issue({ ...asker, until: seconds() - 1 }, 3_600)
  expect(await tokens.verify(over.token)).toBeNull()
})
