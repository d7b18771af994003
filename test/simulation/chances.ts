/** What a world is like, by chance and by its seed. */
import { badWays, MemoryProvider } from './memory-provider.ts'
import type { Weather, World } from './world.ts'

export const badWeather = (world: World): Weather => ({
  loss: world.between(0, 0.03),
  slow: world.between(0, 0.05),
  longest: world.between(50, 4_000),
  nudgesLost: world.between(0, 0.5),
})

export function badProvider(world: World, seed: number): MemoryProvider {
  const faults = {
    error: world.between(0, 0.2),
    later: world.between(0, 0.2),
    refuse: 0.05,
    miss: world.between(0, 0.2),
    fail: 0.2,
  }
  const provider = new MemoryProvider(world, faults, seed % 8 !== 0)
  provider.bad = badWays[seed % badWays.length]!
  provider.atOnce = seed % 2 === 0 ? 10 : 1
  return provider
}
