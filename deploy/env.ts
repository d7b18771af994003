/** Prints .env.example with every password and key filled in: `npm run --silent env > .env`. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { sealingKeyOf } from '#libs/runtime/secrets.ts'

const template = readFileSync(new URL('../.env.example', import.meta.url), 'utf8')
const key = randomBytes(32)
const keys = {
  KEY_ENCRYPTION_KEY: key,
  KEY_SEALING_KEY: sealingKeyOf(key),
  STREAM_TOKEN_KEY: randomBytes(32),
}
process.stdout.write(
  template
    .replaceAll(/^(\w+_PASSWORD)=$/gm, (_, name) => `${name}=${randomBytes(24).toString('hex')}`)
    .replace(
      /^(KEY_ENCRYPTION_KEY|KEY_SEALING_KEY|STREAM_TOKEN_KEY)=$/gm,
      (line, name: keyof typeof keys) => `${line}${keys[name].toString('base64')}`,
    ),
)
