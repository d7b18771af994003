/** Nobody waits for somebody else: what one tenant's provider does, another tenant does not see. */
import { expect, it } from 'vitest'
import { Kit } from './kit.ts'
import { badWays } from './memory-provider.ts'

const lastsMs = 20_000
/** An end is seen by the next poll. */
const pollMs = 5_500
/** For everything else, as the laws have it. */
const delayMs = 2_000

it.each(badWays.filter((way) => way !== 'none'))(
  'lets a tenant whose provider is %s delay no other by 2 s',
  async (way) => {
    const kit = new Kit()
    kit.provider.lastsMs = lastsMs
    await kit.pass(10_000)
    const others: string[] = []
    for (let i = 0; i < 400; i++) others.push(await kit.submit({}, 1))
    kit.provider.bad = way
    for (let i = 0; i < 40; i++) others.push(await kit.submit({}, 1))
    const ids: string[] = []
    for (let i = 0; i < 20; i++) {
      ids.push(await kit.submit())
      await kit.pass(500)
    }
    await kit.until('ended', () => ids.every((id) => kit.video(id).status === 'completed'))
    for (const { createdAt, completedAt, submittedAt } of ids.map((id) => kit.video(id))) {
      expect(submittedAt!.getTime() - createdAt.getTime()).toBeLessThan(delayMs)
      const took = completedAt!.getTime() - createdAt.getTime()
      expect(took).toBeLessThan(lastsMs + pollMs + delayMs)
    }
  },
)
