/** What is declared of a provider beside its wire format: told to users, operators and services. */
import type { z } from 'zod'
import { firstText } from './edge/fields.ts'
import type { CredentialPart } from './credentials.ts'
import type { Dialect } from './edge/dialect.ts'
import type { Budget } from './provider.ts'

/** A model as far as it is known; absent is unknown, and then nothing is refused for it. */
export interface Model {
  name: string
  /** Seconds. */
  durations?: readonly number[]
  aspectRatios?: readonly string[]
  resolutions?: readonly string[]
  inputs: readonly ('text' | 'image')[]
}

/** A webhook as it came. `header` is empty where there is none; `path` has its query. */
export interface Delivery {
  method: string
  path: string
  header(name: string): string
  body: string
}

/**
 * Whether a webhook is the provider's own; it then is a hint to poll, never the truth. What it says
 * of a task counts only at a path that names the attempt with its secret, see callbacks.ts.
 */
export interface WebhookVerifier {
  /** `nowSeconds` is Unix time. Absent: it signs none, and only such a path proves one. */
  isSigned?(secret: string, delivery: Delivery, nowSeconds: number): boolean
  /** Our own id in the body, where it has one; null where the callback's path has to tell. */
  ownIdIn(body: unknown): string | null
  /** The task that the body is about. */
  taskIdIn(body: unknown): string | null
  /** The field of a first delivery that is to be answered with, to show that somebody listens. */
  challenge?: string
}

/** Of a provider that signs nothing: a callback of each task, whose body names it there. */
export const unsigned = (paths: readonly string[]): WebhookVerifier => ({
  ownIdIn: () => null,
  taskIdIn: (body) => firstText(body, paths),
})

/** Settings of a provider's own, `<NAME>_<KEY>`, and what they change in its dialect. */
export interface ExtraSettings {
  shape: Readonly<Record<string, z.ZodType>>
  apply(dialect: Dialect, values: Readonly<Record<string, unknown>>): Dialect
}

/** `meta({ description })` of each setting is what the page of settings says of it. */
export const extraSettings = <S extends Record<string, z.ZodType>>(
  shape: S,
  apply: (dialect: Dialect, values: { [K in keyof S]: z.output<S[K]> }) => Dialect,
): ExtraSettings => ({ shape, apply: apply as ExtraSettings['apply'] })

/** How a create takes images, beside each other. */
export interface ImageInputs {
  /** By their address, which the provider asks. */
  links: boolean
  /** Within the create, as `data:`; so many bytes each, 0: not at all. */
  dataBytes: number
}
const mib = 1024 * 1024
export const linksOnly: ImageInputs = { links: true, dataBytes: 0 }
export const linksOrData: ImageInputs = { links: true, dataBytes: 10 * mib }

export interface Declaration {
  dialect: Dialect
  /** The provider's own address; settable as `<NAME>_BASE_URL`. */
  baseUrl: string
  /** Names that may be given instead of an address, and what they stand for. */
  regions?: Readonly<Record<string, string>>
  /** Further hosts of its own, or their suffixes, see recovery.ts. */
  ownHosts?: readonly string[]
  /** Whoever has its format has its look-up, too, as far as is known. */
  isWholeAnywhere?: true
  /** One key where it is not given. Encrypted as one; settable as `<NAME>_<PART>`. */
  credentials?: readonly CredentialPart[]
  /** Used where nobody names one; settable as `<NAME>_MODEL`. */
  model: string
  models: readonly Model[]
  /** Asked no more often than this for one video, in milliseconds. */
  leastIntervalMs?: number
  /** Of an account of the usual class, as documented; each settable, see settings.ts. */
  budget?: Budget
  settings?: ExtraSettings
  webhook?: WebhookVerifier
  /** Links only, where it is not given. */
  images?: ImageInputs
  /** A link is fetched with the account's credentials, at the account's own host. */
  linkNeedsKey?: true
  /** Further hosts whose links are. */
  linkHosts?: readonly string[]
  /** Asked again, a task that is done has a fresh link. */
  renewsLinks?: true
}
