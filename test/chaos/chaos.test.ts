/**
 * The short form: real processes killed at named points, frozen past their lease, servers killed,
 * the NATS store lost; then judged.
 */
import { expect, it } from 'vitest'
import { runDrill } from './drill.ts'
import { short } from './drills/short.ts'
import { withinMs } from './faults.ts'

it('cuts the length of a fault to the time that is left, and to its shortest', () => {
  const dice = {
    between: (_low: number, high: number) => high,
    pick: <T>([one]: readonly T[]) => one!,
  }
  expect(withinMs(dice, 9_000).between(2_000, 60_000)).toBe(9_000)
  expect(withinMs(dice, -50).between(2_000, 60_000)).toBe(2_000)
  expect(withinMs(dice, 90_000).between(2_000, 60_000)).toBe(60_000)
})

const seed = Math.floor(Math.random() * 2 ** 31)

it(`breaks no law, seed ${seed}`, async ({ onTestFailed }) => {
  const told: string[] = []
  // also when the time is over
  onTestFailed(() => void process.stderr.write(`${told.join('\n')}\n`))
  const { breaches, users } = await runDrill(short, {
    quick: true,
    seed,
    tell: (line) => void told.push(`${new Date().toISOString()} ${line}`),
  })
  expect(breaches).toEqual([])
  expect(users.accepted.size).toBeGreaterThan(100)
}, 900_000)
