import type { CreateRequest } from '#libs/provider/provider.ts'
import { webhookOf } from '#libs/provider/registry.ts'
import { createParamsSchema, ownId } from '#libs/scene-video/scene-video.ts'
import type { Loaded } from '#libs/store/submissions.ts'

/**
 * Where a provider tells of this task, its own id in the path: only where what it says can be
 * verified, and there is an address of ours that it can reach.
 */
function callbackUrlOf(provider: string, own: string, publicUrl: string | undefined) {
  if (publicUrl === undefined || !webhookOf(provider)) return undefined
  return `${publicUrl.replace(/\/+$/, '')}/webhooks/${provider}/${own}`
}

/** The create of this attempt; null where its stored parameters cannot be read. */
export function requestOf(
  { PUBLIC_URL: publicUrl }: { PUBLIC_URL?: string | undefined },
  video: Loaded['video'],
  attempt: number,
): CreateRequest | null {
  const params = createParamsSchema.safeParse(video.params)
  if (!params.success) return null
  const { id, model, prompt, provider } = video
  const own = ownId(id, attempt)
  const callbackUrl = callbackUrlOf(provider, own, publicUrl)
  return { ...params.data, ownId: own, model, prompt, ...(callbackUrl ? { callbackUrl } : {}) }
}
