/**
 * `npm start` looks first whether what is installed is what this checkout asks for. After a pull
 * without `npm install` a service may lack a module, and would be started again for ever; without
 * the scripts of packages there is no Node that reads TypeScript. Plain JavaScript for that reason.
 *
 * `node services/dev/installed.mjs [directory]`: exit 1, and why on stderr, when it is not.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url))
const read = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8'))
const changed = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs

function isInstalled([name, version]) {
  try {
    return read('node_modules', name, 'package.json').version === version
  } catch {
    return false
  }
}

/** What is missing, or is there in another version than package.json names. */
function missing() {
  const { dependencies } = read('package.json')
  const packages = Object.entries(dependencies).filter((one) => !isInstalled(one))
  const made = changed('libs/store/generated/client.ts')
  const isClientOld = made === undefined || changed('prisma/schema.prisma') > made
  const client = isClientOld ? ['the Prisma client of prisma/schema.prisma'] : []
  return [...packages.map(([name, version]) => `${name} ${version}`), ...client]
}

function fail(why) {
  process.stderr.write(`${why}\n`)
  process.exitCode = 1
}

const lacking = missing()
if (Number(process.versions.node.split('.')[0]) < 24)
  fail(
    'Node 24, which reads TypeScript, was not installed: scripts of packages were not run. Run `npm install` without --ignore-scripts, then again.',
  )
else if (lacking.length > 0) {
  const more = lacking.length > 5 ? ` and ${lacking.length - 5} more` : ''
  fail(`Not installed: ${lacking.slice(0, 5).join(', ')}${more}. Run \`npm install\`, then again.`)
}
