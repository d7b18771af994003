/**
 * What may be asked for: providers that are switched on, models as far as they are known, and of
 * these the lengths, ratios and resolutions they declare. What nobody declared is not refused.
 */
import { z } from 'zod'
import { guarantees, type GenerateVideo, type Money } from '#libs/scene-video/scene-video.ts'
import type { ProviderDescription } from '#libs/provider/registry.ts'
import type { AiConfigs } from '#libs/store/ai-configs.ts'
import type { Prices } from './prices.ts'
import type { Context } from './context.ts'
import { unprocessable } from './problem.ts'
import { requireUsableUploads } from './uploads.ts'

export const modelSchema = z
  .object({
    provider: z.string().meta({ example: 'toapis' }),
    model: z.string().meta({ example: 'sora-2' }),
    durations: z.array(z.number()).nullable().describe('Seconds; null: not known'),
    aspectRatios: z.array(z.string()).nullable().describe('Null: not known'),
    resolutions: z.array(z.string()).nullable().describe('Null: not known'),
    inputs: z.array(z.enum(['text', 'image'])).describe('What it takes beside each other'),
    guarantee: z
      .enum(guarantees)
      .describe('What becomes of a create whose answer is lost, see SceneVideo'),
    price: z
      .object({ amount: z.number(), currency: z.string(), per: z.enum(['second', 'video']) })
      .nullable()
      .describe('What the operator tells of it; null: not known'),
  })
  .meta({ id: 'Model' })
export type Model = z.infer<typeof modelSchema>

export interface Catalogue {
  providers: ProviderDescription[]
  system: { provider: string }
  prices: Prices
  uploads: Context['uploads']
  publicUrl: Context['publicUrl']
}

export function modelsOf({ providers, prices }: Pick<Catalogue, 'providers' | 'prices'>): Model[] {
  const priceOf = (provider: string, model: string): Model['price'] => {
    const price = prices.of(provider, model)
    return price && { ...prices.money(price.micros), per: price.per }
  }
  return providers.flatMap(({ name, model, models, guarantee }) => {
    const known = models.map((one) => ({
      provider: name,
      model: one.name,
      durations: one.durations ? [...one.durations] : null,
      aspectRatios: one.aspectRatios ? [...one.aspectRatios] : null,
      resolutions: one.resolutions ? [...one.resolutions] : null,
      inputs: [...one.inputs],
      guarantee,
      price: priceOf(name, one.name),
    }))
    if (known.some((one) => one.model === model)) return known
    const unknown = { durations: null, aspectRatios: null, resolutions: null }
    const inputs: Model['inputs'] = ['text', 'image']
    const price = priceOf(name, model)
    return [...known, { provider: name, model, ...unknown, inputs, guarantee, price }]
  })
}

/** What is asked for, and what a create of it costs. */
export interface Order {
  body: GenerateVideo
  /** In micros; null where no price is known. */
  micros: number | null
  cost: Money | null
}

/**
 * What has a price is made as it was priced: provider and model are then written down.
 * @throws Problem 422 for a provider, model or value that is not to be had; `imagesAt` is where in
 *   the request the images are
 */
export async function orderOf(
  catalogue: Catalogue,
  aiConfigs: Pick<AiConfigs, 'effective'>,
  place: { userId: string; projectId: string },
  body: GenerateVideo,
  imagesAt = '/imageUrls',
): Promise<Order> {
  const { provider, model } = body
  const { prices } = catalogue
  const free = { body, micros: null, cost: null }
  const asked = [provider, model, body.durationSeconds, body.aspectRatio, body.resolution]
  const asksNothing = asked.every((one) => one === undefined) && !body.imageUrls?.length
  if (asksNothing && !prices.areKnown) return free
  const names = catalogue.providers.map((one) => one.name)
  if (provider !== undefined && !names.includes(provider))
    throw unprocessable('unknown_provider', '/provider', `use one of: ${names.join(', ')}`)
  const own = await aiConfigs.effective(place.userId, place.projectId)
  const name = provider ?? own?.provider ?? catalogue.system.provider
  const models = modelsOf(catalogue).filter((one) => one.provider === name)
  const ownModel = own?.provider === name ? own.model : null
  const described = catalogue.providers.find((one) => one.name === name)
  const chosen = model ?? ownModel ?? described?.model
  const known = models.find((one) => one.model === chosen)
  if (model !== undefined && !known && model !== ownModel)
    throw unprocessable(
      'unknown_model',
      '/model',
      `${name} has: ${models.map((one) => one.model).join(', ')}`,
    )
  requireRatio(body.aspectRatio)
  if (known) requireDeclared(known, body, imagesAt)
  if (described && body.imageUrls?.length)
    await requireUsableUploads(catalogue, place.userId, described, body.imageUrls, imagesAt)
  if (chosen === undefined) return free
  const one = { provider: name, model: chosen }
  const micros = prices.ofCreate({ ...one, seconds: body.durationSeconds ?? null })
  return micros === null ? free : { body: { ...body, ...one }, micros, cost: prices.money(micros) }
}

function requireRatio(ratio: string | undefined): void {
  if (ratio?.split(':').every((side) => Number(side) > 0) ?? true) return
  throw unprocessable('unsupported_value', '/aspectRatio', 'neither side may be 0')
}

function requireDeclared(known: Model, body: GenerateVideo, imagesAt: string): void {
  const { durationSeconds, aspectRatio, resolution } = body
  const check = <T>(pointer: string, value: T | undefined, allowed: T[] | null) => {
    if (value === undefined || !allowed || allowed.includes(value)) return
    throw unprocessable(
      'unsupported_value',
      pointer,
      `${known.model} takes: ${allowed.map(String).join(', ')}`,
    )
  }
  check('/durationSeconds', durationSeconds, known.durations)
  check('/aspectRatio', aspectRatio, known.aspectRatios)
  check('/resolution', resolution, known.resolutions)
  if (body.imageUrls?.length && !known.inputs.includes('image'))
    throw unprocessable('unsupported_value', imagesAt, `${known.model} takes no images`)
}
