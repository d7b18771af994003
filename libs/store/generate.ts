/**
 * Generates the Prisma client. `generate` needs no schema engine; naming a harmless one keeps
 * Prisma from fetching it.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../node_modules/prisma/build/index.js', import.meta.url))
if (existsSync(cli)) {
  const run = spawnSync(process.execPath, [cli, 'generate', '--schema', 'prisma/schema.prisma'], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: {
      ...process.env,
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, // exists on every system, and is never run
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1',
    },
    encoding: 'utf8',
  })
  if (run.status !== 0) process.stderr.write(`${run.stdout}${run.stderr}`)
  process.exitCode = run.status ?? 1
}
