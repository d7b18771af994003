/** What both conformance tests need: a seed, and answers that can be compared. */
import { AlreadyQueued, Conflict } from '#libs/bus/bus.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import { seedSetting } from './config.ts'

export const seed = Number(seedSetting ?? Math.floor(Math.random() * 1e9))

/** Answers of both sides in words that can be compared. */
export async function said(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return await run()
  } catch (err) {
    if (err instanceof Conflict || err instanceof AlreadyQueued) return err.name
    if (err instanceof Refused) return err.code
    throw err
  }
}
