/** Fails on a production dependency whose licence is not one of these: `npm run licences`. */
import { readFileSync } from 'node:fs'

const permitted = new Set(
  'MIT ISC Apache-2.0 BSD-2-Clause BSD-3-Clause 0BSD BlueOak-1.0.0 Unlicense CC0-1.0 Python-2.0 MPL-2.0 MIT-0'.split(
    ' ',
  ),
)

interface Locked {
  license?: string
  dev?: boolean
  /** Needed by a development dependency, or optional. */
  devOptional?: boolean
  link?: boolean
}

/** `MIT OR GPL-3.0` is permitted by its first half, `MIT AND MIT-0` needs both. */
const isPermitted = (licence: string): boolean =>
  licence
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((one) => permitted.has(one.trim())))

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  packages: Record<string, Locked>
}
const bad = Object.entries(packages).filter(
  ([path, { license = '', dev, devOptional, link }]) =>
    path.startsWith('node_modules/') && !dev && !devOptional && !link && !isPermitted(license),
)
for (const [path, { license }] of bad) process.stderr.write(`${path}: ${license ?? 'no licence'}\n`)
process.stdout.write(`${bad.length} licences to look at\n`)
process.exitCode = bad.length ? 1 : 0
