/**
 * `npm start` looks first whether what is installed is what this checkout asks for. After a pull
 * without `npm install` a service may lack a module, and would be started again for ever.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Manifest {
  version?: string
  dependencies?: Record<string, string>
}

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Manifest

function isInstalled(root: string, name: string, version: string): boolean {
  try {
    return read(join(root, 'node_modules', name, 'package.json')).version === version
  } catch {
    return false
  }
}

/** What is not there, or is there in another version than package.json names; [] when all is. */
export function notInstalled(root: string): string[] {
  const asked = Object.entries(read(join(root, 'package.json')).dependencies ?? {})
  const missing = asked.filter(([name, version]) => !isInstalled(root, name, version))
  return missing.map(([name, version]) => `${name} ${version}`)
}

/** Whether the schema was changed after the client was made of it. */
function isClientOld(root: string): boolean {
  const changed = (path: string) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs
  const made = changed('libs/store/generated/client.ts')
  return made === undefined || changed('prisma/schema.prisma')! > made
}

if (import.meta.main) {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const missing = notInstalled(root)
  if (isClientOld(root)) missing.push('the Prisma client of prisma/schema.prisma')
  if (missing.length > 0) {
    const shown = missing.slice(0, 5).join(', ')
    const more = missing.length > 5 ? ` and ${missing.length - 5} more` : ''
    process.stderr.write(`Not installed: ${shown}${more}. Run \`npm install\`, then again.\n`)
    process.exitCode = 1
  }
}
