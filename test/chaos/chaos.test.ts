/**
 * The short form: real processes killed at named points, frozen past their lease, servers killed,
 * the NATS store lost; then judged.
 */
import { expect, it } from 'vitest'
import { runDrill } from './drill.ts'
import { short } from './drills/short.ts'

const seed = Math.floor(Math.random() * 2 ** 31)

it(`breaks no law, seed ${seed}`, async () => {
  const told: string[] = []
  const { breaches, users } = await runDrill(short, {
    quick: true,
    seed,
    tell: (line) => void told.push(line),
  })
  expect(breaches, told.join('\n')).toEqual([])
  expect(users.accepted.size).toBeGreaterThan(100)
}, 240_000)
