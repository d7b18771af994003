import { createHash } from 'node:crypto'
import { z } from 'zod'
import { commandSubject } from '#libs/scene-video/messages.ts'
import { sceneVideoSchema, storable } from '#libs/scene-video/scene-video.ts'
import type { App, Context } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { notFound, Problem } from '../problem.ts'
import { idempotencyHeader, ids } from './shared.ts'
import { command } from './videos.ts'

const title = storable.trim().min(1).max(500)
const count = z.number().int().min(0)
const created = { id: z.uuid(), createdAt: z.iso.datetime() }
const projectSchema = z.object({ ...created, title: z.string() }).meta({ id: 'Project' })
const scriptSchema = z
  .object({ ...created, projectId: z.uuid(), title: z.string() })
  .meta({ id: 'Script' })
const sceneSchema = z
  .object({ ...created, scriptId: z.uuid(), title: z.string().nullable(), prompt: z.string() })
  .meta({ id: 'Scene' })
const aggregateSchema = z
  .object({
    id: z.uuid(),
    title: z.string(),
    counts: z.object({ pending: count, generating: count, completed: count, failed: count }),
    progress: z
      .number()
      .int()
      .min(0)
      .max(100)
      .nullable()
      .describe('Mean over its videos; ended ones count 100. Null without videos'),
  })
  .meta({ id: 'ProjectAggregate' })

const noProject = 'There is no such project.'
/** Retries under way at once for one request. */
const retriesAtOnce = 8

export function projectRoutes(app: App, context: Context): void {
  const { reader, projects } = context
  const write = { config: { access: { scope: 'write' } } } as const
  const common = {
    tags: ['projects'],
    headers: idempotencyHeader,
    'x-problems': [404, 409, 422],
  } as const

  app.post(
    '/api/projects',
    {
      ...write,
      schema: {
        ...common,
        operationId: 'createProject',
        summary: 'A new project',
        body: z.strictObject({ title }),
        response: { 201: projectSchema },
        'x-problems': [409, 422],
      },
    },
    async (request, reply) => {
      const { id, title, createdAt } = await projects.createProject(
        request.identity.userId,
        request.body.title,
        idempotencyKeyOf(request, 'projects'),
      )
      return reply
        .code(201)
        .header('location', `/api/projects/${id}`)
        .send({ id, title, createdAt: createdAt.toISOString() })
    },
  )

  app.post(
    '/api/projects/:projectId/scripts',
    {
      ...write,
      schema: {
        ...common,
        operationId: 'createScript',
        summary: 'A new script in a project',
        params: ids('projectId'),
        body: z.strictObject({ title }),
        response: { 201: scriptSchema },
      },
    },
    async (request, reply) => {
      const script = await projects.createScript(
        request.identity.userId,
        request.params.projectId,
        request.body.title,
        idempotencyKeyOf(request, 'scripts'),
      )
      if (!script) throw notFound(noProject)
      return reply.code(201).send({
        id: script.id,
        projectId: script.projectId,
        title: script.title,
        createdAt: script.createdAt.toISOString(),
      })
    },
  )

  app.post(
    '/api/projects/:projectId/scripts/:scriptId/scenes',
    {
      ...write,
      schema: {
        ...common,
        operationId: 'createScene',
        summary: 'A new scene in a script',
        params: ids('projectId', 'scriptId'),
        body: z.strictObject({
          title: title.nullish(),
          prompt: storable.trim().min(1).max(10_000),
        }),
        response: { 201: sceneSchema },
      },
    },
    async (request, reply) => {
      const { projectId, scriptId } = request.params
      const { prompt } = request.body
      const scene = await projects.createScene(
        request.identity.userId,
        projectId,
        scriptId,
        { title: request.body.title ?? null, prompt },
        idempotencyKeyOf(request, 'scenes'),
      )
      if (!scene) throw notFound('There is no such script in that project.')
      return reply.code(201).send({
        id: scene.id,
        scriptId,
        title: scene.title,
        prompt: scene.prompt,
        createdAt: scene.createdAt.toISOString(),
      })
    },
  )

  app.get(
    '/api/projects/:projectId',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'getProject',
        tags: ['projects'],
        summary: 'How far a project’s videos are',
        params: ids('projectId'),
        response: { 200: aggregateSchema },
        'x-problems': [404],
      },
    },
    async (request) => {
      const project = await reader.project(request.identity.userId, request.params.projectId)
      if (!project) throw notFound(noProject)
      return project
    },
  )

  /**
   * Each video is retried under a key made of the request's and its own: sent again, the request
   * goes on where it stopped, and retries nothing twice.
   */
  app.post(
    '/api/projects/:projectId/retry-failed',
    {
      ...write,
      schema: {
        ...common,
        operationId: 'retryFailed',
        summary: 'Retry every failed video of a project',
        params: ids('projectId'),
        body: z.strictObject({}).nullish(),
        response: {
          202: z.object({ data: z.array(sceneVideoSchema) }).meta({ id: 'SceneVideoList' }),
        },
      },
    },
    async (request, reply) => {
      const { userId } = request.identity
      const { projectId } = request.params
      if (!(await reader.project(userId, projectId))) throw notFound(noProject)
      const idempotencyKey = idempotencyKeyOf(request, 'retry-failed')
      const prefix =
        idempotencyKey &&
        `${createHash('sha256').update(`${idempotencyKey.key} ${projectId}`).digest('hex')} `
      const retry = ({ id, attempt }: { id: string; attempt: number }) =>
        command(context, request.identity, commandSubject.retry, {
          id,
          attempt,
          idempotencyKey: idempotencyKey && { ...idempotencyKey, key: prefix + id },
        }).catch((err: unknown) => {
          if (err instanceof Problem && err.status === 409) return null
          throw err
        })
      const before = prefix ? await reader.videosUnderKey(userId, 'retry-failed', prefix) : []
      const failed = (await reader.failedVideos(userId, projectId)).filter(
        ({ id }) => !before.some((one) => one.id === id),
      )
      const data = [...before]
      while (failed.length)
        data.push(
          ...(await Promise.all(failed.splice(0, retriesAtOnce).map(retry))).filter(
            (video) => video !== null,
          ),
        )
      return reply.code(202).send({ data })
    },
  )
}
