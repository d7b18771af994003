/**
 * What a create costs, as far as the operator has told: by provider and model, a second or a video.
 * Amounts are counted in millionths of the currency, so that sums are exact.
 */
import { z } from 'zod'
import type { Money } from '#libs/scene-video/scene-video.ts'
import { providerNames, type ProviderDescription } from '#libs/provider/registry.ts'

export interface Price {
  micros: number
  per: 'second' | 'video'
}
/** By `provider/model`; `provider/*` is any model of it without a price of its own. */
type PriceList = ReadonlyMap<string, Price>

const micro = 1_000_000
export const toMicros = (amount: number): number => Math.round(amount * micro)
const toAmount = (micros: number): number => micros / micro

const entry = /^([\w-]+\/[^=]+)=(\d{1,6}(?:\.\d{1,6})?)\/(second|video)$/

/** `toapis/sora-2=0.1/second, fal/*=0.5/video`. */
export const priceListSetting = z
  .string()
  .default('')
  .transform((text, context): PriceList => {
    const prices = new Map<string, Price>()
    const entries = text.split(',').map((one) => one.trim())
    for (const one of entries.filter((some) => some !== '')) {
      const [, model, amount, per] = entry.exec(one) ?? []
      if (model === undefined)
        context.addIssue(
          `"${one}" is no price: write <provider>/<model>=<amount>/second or …/video`,
        )
      else if (!providerNames.includes(model.split('/')[0]!))
        context.addIssue(`"${one}" is of no provider there is; use: ${providerNames.join(', ')}`)
      else if (prices.has(model)) context.addIssue(`"${model}" has two prices`)
      else prices.set(model, { micros: toMicros(Number(amount)), per: per as Price['per'] })
    }
    return prices
  })

/** Where neither the request nor the model's declaration says how long a video will be. */
const assumedSeconds = 10

export class Prices {
  readonly #list: PriceList
  readonly #providers: readonly ProviderDescription[]
  readonly currency: string

  constructor(list: PriceList, currency: string, providers: readonly ProviderDescription[]) {
    this.#list = list
    this.currency = currency
    this.#providers = providers
  }

  get areKnown(): boolean {
    return this.#list.size > 0
  }

  of(provider: string, model: string): Price | null {
    return this.#list.get(`${provider}/${model}`) ?? this.#list.get(`${provider}/*`) ?? null
  }

  /** In micros; null where no price is known. Without a length it is the longest the model has. */
  ofCreate(one: { provider: string; model: string; seconds?: number | null }): number | null {
    const price = this.of(one.provider, one.model)
    if (!price) return null
    if (price.per === 'video') return price.micros
    return Math.round(price.micros * (one.seconds ?? this.#longest(one)))
  }

  money(micros: number): Money {
    return { amount: toAmount(micros), currency: this.currency }
  }

  #longest({ provider, model }: { provider: string; model: string }): number {
    const known = this.#providers.find((one) => one.name === provider)
    const durations = known?.models.find((one) => one.name === model)?.durations
    return durations?.length ? Math.max(...durations) : assumedSeconds
  }
}

/** What a number of creates costs; null where none of them has a price. */
export function sumOf(
  prices: Prices,
  each: readonly (number | null)[],
): { micros: number; price: (Money & { unpriced: number }) | null } {
  const known = each.filter((one) => one !== null)
  const micros = known.reduce((sum, one) => sum + one, 0)
  const unpriced = each.length - known.length
  return { micros, price: known.length ? { ...prices.money(micros), unpriced } : null }
}
