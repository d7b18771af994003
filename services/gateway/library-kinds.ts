/** What projects, scripts and scenes have in common, for the operations that all three have. */
import { z } from 'zod'
import { sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import type { Place } from '#libs/store/library.ts'
import type { Context } from './context.ts'
import { id, ids } from './schemas.ts'

const common = {
  id: z.uuid(),
  createdAt: z.iso.datetime(),
  archivedAt: z.iso.datetime().nullable().describe('Null: it is in use'),
}
/** What a project keeps of its files; beside it holds what the installation keeps. */
export const fileLimits = {
  fileDays: z
    .number()
    .int()
    .min(1)
    .max(36_500)
    .nullable()
    .describe('Files are deleted after so many days; null: as the installation does'),
  fileBytes: z
    .number()
    .int()
    .min(0)
    .nullable()
    .describe('Beyond so many bytes of files the oldest are deleted; null: no limit'),
}
export const projectSchema = z
  .object({ ...common, title: z.string(), ...fileLimits })
  .meta({ id: 'Project' })
export const scriptSchema = z
  .object({ ...common, projectId: z.uuid(), title: z.string() })
  .meta({ id: 'Script' })
export const sceneSchema = z
  .object({
    ...common,
    projectId: z.uuid(),
    scriptId: z.uuid(),
    title: z.string().nullable(),
    prompt: z.string(),
    newestVideo: sceneVideoSchema.nullable().describe('Null: it has none'),
  })
  .meta({ id: 'Scene' })

/** What a path names; what is absent is not named. */
export const placeParams = z.object({
  projectId: id,
  scriptId: id.optional(),
  sceneId: id.optional(),
})
/** Without undefined ones, as the store takes it. */
export const placeOf = (params: unknown): Place => {
  const { projectId, scriptId, sceneId } = params as z.output<typeof placeParams>
  return {
    projectId,
    ...(scriptId === undefined ? {} : { scriptId }),
    ...(sceneId === undefined ? {} : { sceneId }),
  }
}

const scriptPath = '/api/projects/:projectId/scripts/:scriptId' as const

export const kinds = [
  {
    name: 'Project',
    word: 'project',
    path: '/api/projects/:projectId',
    params: ids('projectId'),
    schema: projectSchema,
    read: ({ library }: Context, userId: string, place: Place) => library.project(userId, place),
  },
  {
    name: 'Script',
    word: 'script',
    path: scriptPath,
    params: ids('projectId', 'scriptId'),
    schema: scriptSchema,
    read: ({ library }: Context, userId: string, place: Place) => library.script(userId, place),
  },
  {
    name: 'Scene',
    word: 'scene',
    path: `${scriptPath}/scenes/:sceneId`,
    params: ids('projectId', 'scriptId', 'sceneId'),
    schema: sceneSchema,
    read: ({ library }: Context, userId: string, place: Place) => library.scene(userId, place),
  },
] as const
