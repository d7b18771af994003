/** What operators see has whose it is. */
import { sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import { z } from 'zod'

export const ownedVideoSchema = sceneVideoSchema
  .extend({ userId: z.uuid() })
  .meta({ id: 'OwnedSceneVideo' })
export const operatorAccess = { config: { access: { scope: 'operator' } } } as const
