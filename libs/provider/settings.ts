/** Settings of all traffic to providers, the same for every service that has any. */
import { z } from 'zod'
import { normalizeBaseUrl } from './edge/base-url.ts'
import type { EdgeOptions } from './edge/send.ts'

/** An address from the environment, in the form in which addresses are kept and compared. */
export const baseUrlSetting = z.string().transform((text, context) => {
  const url = normalizeBaseUrl(text)
  if (url !== null) return url
  context.addIssue('must be an http or https address without credentials, query or fragment')
  return z.NEVER
})

const list = z
  .string()
  .default('')
  .transform((text) => text.split(/[\s,]+/).filter((one) => one !== ''))

export const edgeSettings = {
  /** The operator's own address: it may be in a private network. */
  TOAPIS_BASE_URL: baseUrlSetting.default('https://toapis.com/v1'),
  /** Further ones that may, such as a former address of which tasks are still under way. */
  TRUSTED_BASE_URLS: list.pipe(z.array(baseUrlSetting)),
  /** Lets users give base URLs of private networks: for development only. */
  ALLOW_PRIVATE_BASE_URLS: z.stringbool().default(false),
  /** Providers are reached through this proxy; nothing else is, loopback never. */
  PROVIDER_PROXY: z.url({ protocol: /^https?$/ }).optional(),
  /** Hosts, or their suffixes, that are reached without it. */
  PROVIDER_NO_PROXY: list,
  /** A file of further certificate authorities, in PEM. `NODE_EXTRA_CA_CERTS` works as well. */
  PROVIDER_CA: z.string().optional(),
}

const edgeSchema = z.object(edgeSettings)

export const edgeOptions = (config: z.output<typeof edgeSchema>): EdgeOptions => ({
  trustedBaseUrls: [config.TOAPIS_BASE_URL, ...config.TRUSTED_BASE_URLS],
  allowPrivate: config.ALLOW_PRIVATE_BASE_URLS,
  proxy: config.PROVIDER_PROXY
    ? { url: config.PROVIDER_PROXY, except: config.PROVIDER_NO_PROXY }
    : undefined,
  ca: config.PROVIDER_CA,
})
