import type { Callbacks } from '#libs/provider/callbacks.ts'
import type { CreateRequest } from '#libs/provider/provider.ts'
import { createParamsSchema, ownId } from '#libs/scene-video/scene-video.ts'
import type { Loaded } from '#libs/store/submissions.ts'

/** The create of this attempt; null where its stored parameters cannot be read. */
export function requestOf(
  callbacks: Pick<Callbacks, 'urlOf'>,
  video: Loaded['video'],
  attempt: number,
): CreateRequest | null {
  const params = createParamsSchema.safeParse(video.params)
  if (!params.success) return null
  const { id, model, prompt, provider } = video
  const own = ownId(id, attempt)
  const callbackUrl = callbacks.urlOf(provider, own)
  return { ...params.data, ownId: own, model, prompt, ...(callbackUrl ? { callbackUrl } : {}) }
}
