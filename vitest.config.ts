import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

/** The services are started some hundreds of times: they are compiled once. */
const env = { NODE_COMPILE_CACHE: resolve('node_modules/.cache/compile') }
const shared = { env, pool: 'forks', testTimeout: 400_000, hookTimeout: 400_000 } as const

/**
 * `unit` starts no server; `system` starts real ones, and processes; `chaos` a short form of chaos;
 * `images` builds the image and runs it, where a container engine is there.
 */
export default defineConfig({
  test: {
    // more than two cores, as system tests wait; with four they starve each other
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: [
            '{libs,services,examples}/**/*.test.ts',
            'test/*.test.ts',
            'test/mutations/*.test.ts',
            'test/simulation/{simulation,files,rules,reconciler,schedules,isolation}.test.ts',
          ],
          exclude: ['**/node_modules/**'],
        },
      },
      {
        test: {
          ...shared,
          name: 'system',
          include: [
            'test/{system,security,laws}/**/*.test.ts',
            'test/simulation/*-conformance.test.ts',
          ],
        },
      },
      { test: { ...shared, name: 'images', include: ['test/images/*.test.ts'] } },
      { test: { ...shared, name: 'chaos', include: ['test/chaos/**/*.test.ts'] } },
    ],
  },
})
