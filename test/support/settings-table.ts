/**
 * docs/operating/settings.md, made from the schemas that validate the settings: `npm run
 * docs:settings` writes it, test/settings.test.ts finds it outdated. What a setting means is the
 * comment above it in its service's config.ts; those of providers have their own tables, made from
 * the registry.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { oneKey, settingOf } from '#libs/provider/credentials.ts'
import { budgetSettings } from '#libs/provider/settings.ts'
import { declarationOf, providerNames, settingPrefix } from '#libs/provider/registry.ts'

export const settingsPath = 'docs/operating/settings.md'

interface Setting {
  fallback: string
  services: string[]
  meaning: string
}

const head = `# Settings

Environment variables. Each service validates its own at its start, and names every one that is
missing or wrong. Empty means absent. \`npm start\` and the tests also read
\`NATS_SERVER_BIN\`, a nats-server to use. This page is made from the schemas: \`npm run docs:settings\`.

| variable | default | of | meaning |
|---|---|---|---|
`

/** What needs no comment where it is declared. */
const plain: Record<string, string> = {
  BATCH_MAX: 'Most reports in one statement.',
  CREATE_CONCURRENCY: 'Creates under way at once.',
  DATABASE_URL: 'Postgres, 18 or later.',
  HEALTH_HOST: 'Address of the health port.',
  HOST: 'Address of the gateway.',
  JWT_AUDIENCE: 'See JWKS_URL.',
  JWT_ISSUER: 'See JWKS_URL.',
  KEY_ENCRYPTION_KEY: '32 bytes in base64; former keys after commas.',
  FILES_DIR: 'Directory of files, where FILES_STORE is directory.',
  LOG_LEVEL: 'trace, debug, info, warn, error, fatal or silent.',
  NATS_CA: 'File in PEM: who signed the server’s certificate.',
  NATS_CERT: 'File in PEM: a certificate of one’s own; with NATS_KEY.',
  NATS_CREDS: 'File with a JWT and its seed.',
  NATS_KEY: 'File in PEM: the key of NATS_CERT.',
  NATS_NKEY: 'A seed, or the file that has it.',
  NATS_PASSWORD: 'With NATS_USER.',
  NATS_TOKEN: 'Where the server knows one token only.',
  NATS_URL:
    '`nats://user:password@host:4222` or `tls://…`, servers of a cluster by commas; its credentials win over the others.',
  NATS_USER: 'Where the URL has no credentials.',
  SIMULATOR_HOST: 'Address of the simulator.',
  SIMULATOR_PORT: 'Port of the simulator.',
  TRUSTED_BASE_URLS: 'Addresses of providers that may be in a private network, by commas.',
  POLLER_NAME: 'What the poller is called in logs.',
  POLL_INTERVAL_MS: 'Between two polls of one video.',
  POLL_TIMEOUT_MS: 'How long an answer to a poll is waited for.',
  PORT: 'Of the gateway.',
  QUERY_BURST: 'Queries of one account that may be made at once after a pause.',
  RECONCILE_INTERVAL_MS: 'Between two rounds of the reconciler.',
  S3_BUCKET: 'Bucket of files, where FILES_STORE is s3.',
  S3_KMS_KEY_ID: 'With S3_ENCRYPTION aws:kms.',
  S3_PATH_STYLE: 'The bucket in the path instead of the host.',
  S3_REGION: 'Of the bucket.',
  S3_SECRET_ACCESS_KEY: 'See S3_ACCESS_KEY_ID.',
}

const row = (...cells: string[]) =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`

const pattern = `
## Of each provider

\`PROVIDERS\` switches providers on, by their names. Every provider has these settings, its name in
capitals in front. Without credentials it makes videos only for users who bring an account of their
own. A provider that is switched off makes no new videos; what is under way there goes on.

| variable | of | meaning |
|---|---|---|
| \`<NAME>_BASE_URL\` | gateway, poller, submit | Where it is: an address, which may be in a private network, or the name of a region. |
| \`<NAME>_LOOK_UP_ANYWHERE\` | gateway, submit | Recovers lost creates at addresses that are not the provider’s own, too: only where these keep its look-ups, its lists and its keys as it does. |
| \`<NAME>_MODEL\` | gateway, poller, submit | The model where nobody names one. |
| \`<NAME>_API_KEY\` | submit | What opens the system’s account there; of several parts where the table says so. |
| \`<NAME>_WEBHOOK_SECRET\` | gateway | What its webhooks are signed with. Without one only a callback at its attempt’s own path is taken. |
${budgetRows()}

What an account may do is learned from its answers, too (\`x-ratelimit-…\`, \`ratelimit-…\`, \`retry-after\`): what is set here is never exceeded.

| provider | credentials | base URL | regions | model | declared |
|---|---|---|---|---|---|
`

/** Of every provider alike. */
function budgetRows(): string {
  return Object.entries(budgetSettings)
    .map(([limit, [key, schema]]) => {
      const services = limit.startsWith('query') ? 'poller' : 'submit'
      return row(`\`<NAME>_${key}\``, services, schema.description ?? '').trimEnd()
    })
    .join('\n')
}

function providerRow(name: string): string {
  const { credentials = oneKey, baseUrl, regions = {}, model, budget = {} } = declarationOf(name)!
  const parts = credentials.map(
    (part) =>
      `\`${settingPrefix(name)}${settingOf(part.name)}\`${part.isOptional ? ' (optional)' : ''}`,
  )
  const limits = Object.entries(budgetSettings).flatMap(([limit, [key]]) => {
    const most = budget[limit as keyof typeof budget]
    return most === undefined ? [] : [`\`${key}\` ${most}`]
  })
  const names = Object.keys(regions).join(', ') || '–'
  return row(name, parts.join(', '), baseUrl, names, model, limits.join(', ') || '–')
}

const ownHead = `
Settings that only one has:

| variable | default | meaning |
|---|---|---|
`

const ownRows = (name: string): string[] =>
  Object.entries(declarationOf(name)!.settings?.shape ?? {}).map(([key, schema]) => {
    const fallback = schema instanceof z.ZodDefault ? String(schema.def.defaultValue) : '–'
    return row(`\`${settingPrefix(name)}${key}\``, fallback, schema.description ?? '')
  })

/** The comment right above each setting of a file, on one line. */
function meaningsOf(path: string): Map<string, string> {
  const text = readFileSync(path, 'utf8')
  const commented = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*([A-Z][A-Z0-9_]+):/g
  return new Map(
    [...text.matchAll(commented)].map(([, comment, name]) => [
      name!,
      comment!.replaceAll(/\s*\n?\s*\*?\s+/g, ' ').trim(),
    ]),
  )
}

async function schemasOf(path: string): Promise<z.ZodObject[]> {
  const exported = (await import(new URL(`../../${path}`, import.meta.url).href)) as object
  return Object.values(exported).filter((one): one is z.ZodObject => one instanceof z.ZodObject)
}

export async function settingsPage(): Promise<string> {
  const settings = new Map<string, Setting>()
  const shared = new Map(
    ['libs/runtime/config.ts', 'libs/provider/settings.ts', 'libs/files/settings.ts'].flatMap(
      (path) => [...meaningsOf(path)],
    ),
  )
  const services = readdirSync('services').filter((name) =>
    readdirSync(`services/${name}`).includes('config.ts'),
  )
  for (const service of services) {
    const path = `services/${service}/config.ts`
    const meanings = meaningsOf(path)
    for (const schema of await schemasOf(path)) {
      const { properties = {}, required = [] } = z.toJSONSchema(schema, {
        io: 'input',
        unrepresentable: 'any',
      })
      for (const [name, property] of Object.entries(properties)) {
        const field = schema.shape[name]
        const told =
          field instanceof z.ZodDefault
            ? field.def.defaultValue
            : (property as { default?: unknown }).default
        const shown = told === undefined ? '' : String(told as string)
        const absent = required.includes(name) ? 'required' : '–'
        const known = settings.get(name)
        settings.set(name, {
          fallback: known?.fallback === 'required' ? 'required' : shown || absent,
          services: [...(known?.services ?? []), service],
          meaning: known?.meaning || meanings.get(name) || plain[name] || shared.get(name) || '',
        })
      }
    }
  }
  const prefixes = providerNames.map(settingPrefix)
  const ours = [...settings].filter(([name]) => !prefixes.some((one) => name.startsWith(one)))
  const rows = ours.sort(([a], [b]) => (a < b ? -1 : 1))
  const all = services.filter((name) => name !== 'provider-simulator')
  return (
    head +
    rows
      .map(([name, { fallback, services: of, meaning }]) => {
        const who = all.every((one) => of.includes(one)) ? 'all' : of.join(', ')
        return row(`\`${name}\``, fallback, who, meaning)
      })
      .join('') +
    pattern +
    providerNames.map(providerRow).join('') +
    ownHead +
    providerNames.flatMap(ownRows).join('')
  )
}

if (import.meta.main) writeFileSync(settingsPath, await settingsPage())
