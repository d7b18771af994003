/**
 * Settings of providers and of all traffic to them, the same for every service that has any. Each
 * provider has those of its declaration, by one pattern: `<NAME>_BASE_URL`, `<NAME>_MODEL`,
 * `<NAME>_<PART OF ITS CREDENTIALS>` and so on. The types do not know their names:
 * `configuredProviders` reads them.
 */
import { z } from 'zod'
import { joinCredentials, oneKey, settingOf } from './credentials.ts'
import type { Declaration } from './declaration.ts'
import { normalizeBaseUrl } from './edge/base-url.ts'
import type { EdgeOptions } from './edge/send.ts'
import type { Budget, Budgets } from './provider.ts'
import { recoveryHostsOf, type RecoveryHosts } from './recovery.ts'
import { declarationOf, providerNames, settingPrefix } from './registry.ts'

const malformed = 'must be an http or https address without credentials, query or fragment'
const addressSetting = (regions: Readonly<Record<string, string>> = {}) =>
  z.string().transform((text, context) => {
    const url = regions[text.trim()] ?? normalizeBaseUrl(text)
    if (url !== null) return url
    const names = Object.keys(regions)
    context.addIssue(names.length ? `${malformed}, or one of ${names.join(', ')}` : malformed)
    return z.NEVER
  })

const list = z
  .string()
  .default('')
  .transform((text) => text.split(/[\s,]+/).filter((one) => one !== ''))

type Shape = Record<string, z.ZodType>
/** Settings that are there, and whose names are nobody's to write down. */
type Unnamed = Record<never, never>

/** The settings that each provider has by this pattern. */
const ofEach = (shapeOf: (declaration: Declaration) => Shape): Unnamed =>
  Object.fromEntries(
    providerNames.flatMap((name) =>
      Object.entries(shapeOf(declarationOf(name)!)).map(([key, schema]) => [
        settingPrefix(name) + key,
        schema,
      ]),
    ),
  )

const lookUpAnywhere = z
  .stringbool()
  .default(false)
  .describe(
    'Lost creates are recovered at addresses that are not the provider’s own, too: only where these keep its look-ups, its lists and its keys as it does.',
  )

const limit = (meaning: string) => z.coerce.number().positive().optional().describe(meaning)
/** What each account at a provider may do, as the operator knows it. */
export const budgetSettings: Record<keyof Budget, [key: string, z.ZodType]> = {
  queryPerSecond: ['QUERY_PER_SECOND', limit('Queries a second of one account.')],
  queryBurst: ['QUERY_BURST', limit('Queries of one account at once after a pause.')],
  createPerMinute: ['CREATE_PER_MINUTE', limit('Creates a minute of one account.')],
  parallelTasks: ['PARALLEL_TASKS', limit('Tasks of one account at work at once.')],
}

/** The keys of the system's own accounts: for whoever sends, and nobody else. */
export const credentialSettings = ofEach(({ credentials = oneKey }) =>
  Object.fromEntries(
    credentials.map(({ name, meaning }) => [
      settingOf(name),
      z.string().min(1).optional().describe(meaning),
    ]),
  ),
)

/** What webhooks are verified with. */
export const webhookSettings = ofEach(({ webhook }) =>
  webhook?.isSigned ? { WEBHOOK_SECRET: z.string().min(1).optional() } : {},
)

export const providerSettings = {
  /**
   * The providers that are switched on, by commas; toapis if nothing is given. The first makes
   * the videos for which nobody names one.
   */
  PROVIDERS: list
    .transform((names) => (names.length ? names : [providerNames[0]!]))
    .pipe(z.array(z.enum(providerNames, { error: `use: ${providerNames.join(', ')}` }))),
  ...ofEach(({ baseUrl, regions, model, settings }) => ({
    BASE_URL: addressSetting(regions).default(baseUrl),
    MODEL: z.string().min(1).default(model),
    LOOK_UP_ANYWHERE: lookUpAnywhere,
    ...settings?.shape,
    ...Object.fromEntries(Object.values(budgetSettings)),
  })),
}

export const edgeSettings = {
  /** Further ones that may, such as a former address of which tasks are still under way. */
  TRUSTED_BASE_URLS: list.pipe(z.array(addressSetting())),
  /** Lets users give base URLs of private networks: for development only. */
  ALLOW_PRIVATE_BASE_URLS: z.stringbool().default(false),
  /** Providers are reached through this proxy; nothing else is, loopback never. */
  PROVIDER_PROXY: z.url({ protocol: /^https?$/ }).optional(),
  /** Hosts, or their suffixes, that are reached without it. */
  PROVIDER_NO_PROXY: list,
  /** A file of further certificate authorities, in PEM. `NODE_EXTRA_CA_CERTS` works as well. */
  PROVIDER_CA: z.string().optional(),
}

/** A provider as the operator has set it up. */
export interface ConfiguredProvider {
  name: string
  declaration: Declaration
  isOn: boolean
  /** The operator's own address: it may be in a private network. */
  baseUrl: string
  model: string
  /** Of the system's own account; null where there is none, or this service is not told. */
  apiKey: string | null
  webhookSecret: string | null
  budgets: Budgets
  recoveryHosts: RecoveryHosts
  /** Settings of its own, by their names without prefix. */
  values: Readonly<Record<string, unknown>>
}

type Config = { PROVIDERS: readonly string[] }

/** All there are, those switched on first and in their order. */
export function configuredProviders(config: Config): ConfiguredProvider[] {
  const on = new Set(config.PROVIDERS)
  return [...on, ...providerNames.filter((name) => !on.has(name))].map((name) => {
    const declaration = declarationOf(name)!
    const prefix = settingPrefix(name)
    const read = (key: string) => (config as unknown as Record<string, unknown>)[prefix + key]
    const text = (key: string) => (read(key) as string | undefined) ?? null
    const parts = declaration.credentials ?? oneKey
    const given = parts.flatMap((part) => {
      const value = text(settingOf(part.name))
      return value === null ? [] : [[part.name, value] as const]
    })
    const limits = Object.entries(budgetSettings).flatMap(([one, [key]]) => {
      const value = read(key)
      return value === undefined ? [] : [[one, value]]
    })
    return {
      name,
      declaration,
      isOn: on.has(name),
      baseUrl: text('BASE_URL') ?? declaration.baseUrl,
      model: text('MODEL') ?? declaration.model,
      apiKey: joinCredentials(parts, Object.fromEntries(given)),
      webhookSecret: text('WEBHOOK_SECRET'),
      budgets: { usual: declaration.budget ?? {}, set: Object.fromEntries(limits) as Budget },
      recoveryHosts: recoveryHostsOf(declaration, read('LOOK_UP_ANYWHERE') === true),
      values: Object.fromEntries(
        Object.entries(declaration.settings?.shape ?? {}).map(([key, schema]) => [
          key,
          read(key) ?? schema.safeParse(undefined).data,
        ]),
      ),
    }
  })
}

/** The settings that a provider's account needs, for a message that says what is missing. */
export const credentialNames = (name: string): string[] =>
  (declarationOf(name)?.credentials ?? oneKey)
    .filter((part) => !part.isOptional)
    .map((part) => settingPrefix(name) + settingOf(part.name))

const edgeSchema = z.object({ ...edgeSettings, PROVIDERS: z.array(z.string()) })

export const edgeOptions = (config: z.output<typeof edgeSchema>): EdgeOptions => ({
  trustedBaseUrls: [
    ...configuredProviders(config).map((one) => one.baseUrl),
    ...config.TRUSTED_BASE_URLS,
  ],
  allowPrivate: config.ALLOW_PRIVATE_BASE_URLS,
  proxy: config.PROVIDER_PROXY
    ? { url: config.PROVIDER_PROXY, except: config.PROVIDER_NO_PROXY }
    : undefined,
  ca: config.PROVIDER_CA,
})
