/**
 * `npm run examples`: what installs and builds other packages, and so has no place in `npm test`.
 */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { include: ['examples/*.check.ts'], testTimeout: 120_000, hookTimeout: 600_000 },
})
