/** Prints .env.example with every password and key filled in: `npm run --silent env > .env`. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

const template = readFileSync(new URL('../.env.example', import.meta.url), 'utf8')
process.stdout.write(
  template
    .replaceAll(/^(\w+_PASSWORD)=$/gm, (_, name) => `${name}=${randomBytes(24).toString('hex')}`)
    .replace(
      /^KEY_ENCRYPTION_KEY=$/m,
      () => `KEY_ENCRYPTION_KEY=${randomBytes(32).toString('base64')}`,
    ),
)
