/**
 * What may be asked for: providers that are switched on, models as far as they are known, and of
 * these the lengths, ratios and resolutions they declare. What nobody declared is not refused.
 */
import { z } from 'zod'
import { guarantees, type GenerateVideo } from '#libs/scene-video/scene-video.ts'
import type { ProviderDescription } from '#libs/provider/registry.ts'
import type { AiConfigs } from '#libs/store/ai-configs.ts'
import { unprocessable } from './problem.ts'

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
  })
  .meta({ id: 'Model' })
export type Model = z.infer<typeof modelSchema>

export interface Catalogue {
  providers: ProviderDescription[]
  system: { provider: string; model: string }
}

export function modelsOf({ providers, system }: Catalogue): Model[] {
  return providers.flatMap(({ name, model, models, guarantee }) => {
    const known = models.map((one) => ({
      provider: name,
      model: one.name,
      durations: one.durations ? [...one.durations] : null,
      aspectRatios: one.aspectRatios ? [...one.aspectRatios] : null,
      resolutions: one.resolutions ? [...one.resolutions] : null,
      inputs: [...one.inputs],
      guarantee,
    }))
    const inUse = [model, ...(system.provider === name ? [system.model] : [])]
    const missing = [...new Set(inUse)].filter((one) => !known.some((other) => other.model === one))
    return [
      ...known,
      ...missing.map((one) => ({
        provider: name,
        model: one,
        durations: null,
        aspectRatios: null,
        resolutions: null,
        inputs: ['text' as const, 'image' as const],
        guarantee,
      })),
    ]
  })
}

/** @throws Problem 422 for a provider, model or value that is not to be had */
export async function requireAvailable(
  catalogue: Catalogue,
  aiConfigs: Pick<AiConfigs, 'effective'>,
  place: { userId: string; projectId: string },
  body: GenerateVideo,
): Promise<void> {
  const { provider, model } = body
  const asksForValues = body.durationSeconds ?? body.aspectRatio ?? body.resolution
  if (provider === undefined && model === undefined && asksForValues === undefined) return
  const names = catalogue.providers.map((one) => one.name)
  if (provider !== undefined && !names.includes(provider))
    throw unprocessable('unknown_provider', '/provider', `use one of: ${names.join(', ')}`)
  const own = await aiConfigs.effective(place.userId, place.projectId)
  const effective = {
    provider: provider ?? own?.provider ?? catalogue.system.provider,
    configured: own?.model ?? catalogue.system.model,
  }
  const models = modelsOf(catalogue).filter((one) => one.provider === effective.provider)
  const wanted = model ?? effective.configured
  const known = models.find((one) => one.model === wanted)
  if (model !== undefined && !known && model !== own?.model)
    throw unprocessable(
      'unknown_model',
      '/model',
      `${effective.provider} has: ${models.map((one) => one.model).join(', ')}`,
    )
  if (known) requireDeclared(known, body)
}

function requireDeclared(known: Model, body: GenerateVideo): void {
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
    throw unprocessable('unsupported_value', '/imageUrls', `${known.model} takes no images`)
}
