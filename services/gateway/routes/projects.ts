import { z } from 'zod'
import { commandReplySchema, commandSubject } from '#libs/scene-video/messages.ts'
import { sceneVideoSchema, type SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { App, Context } from '../app.ts'
import { notFound } from '../problem.ts'

const title = z.string().trim().min(1).max(500)
const projectParams = z.object({ projectId: z.uuid() })
const noProject = 'There is no such project.'

export function projectRoutes(app: App, { auth, reader, projects, bus }: Context): void {
  app.post('/api/projects', { schema: { body: z.strictObject({ title }) } }, async (request, reply) => {
    const { id, title, createdAt } = await projects.createProject(await auth.userOf(request), request.body.title)
    return reply.code(201).send({ id, title, createdAt: createdAt.toISOString() })
  })

  app.post('/api/projects/:projectId/scripts', { schema: { params: projectParams, body: z.strictObject({ title }) } }, async (request, reply) => {
    const script = await projects.createScript(await auth.userOf(request), request.params.projectId, request.body.title)
    if (!script) throw notFound(noProject)
    return reply.code(201).send({ id: script.id, projectId: script.projectId, title: script.title, createdAt: script.createdAt.toISOString() })
  })

  app.post('/api/projects/:projectId/scripts/:scriptId/scenes', {
    schema: { params: projectParams.extend({ scriptId: z.uuid() }), body: z.strictObject({ title: title.optional(), prompt: z.string().trim().min(1).max(10_000) }) },
  }, async (request, reply) => {
    const { projectId, scriptId } = request.params
    const scene = await projects.createScene(await auth.userOf(request), projectId, scriptId, { title: request.body.title ?? null, prompt: request.body.prompt })
    if (!scene) throw notFound('There is no such script in that project.')
    return reply.code(201).send({ id: scene.id, scriptId, title: scene.title, prompt: scene.prompt, createdAt: scene.createdAt.toISOString() })
  })

  app.get('/api/projects/:projectId', { schema: { params: projectParams } }, async (request) => {
    const project = await reader.project(await auth.userOf(request), request.params.projectId)
    if (!project) throw notFound(noProject)
    return project
  })

  app.post('/api/projects/:projectId/retry-failed', { schema: { params: projectParams, response: { 202: z.object({ data: z.array(sceneVideoSchema) }) } } }, async (request, reply) => {
    const userId = await auth.userOf(request)
    if (!(await reader.project(userId, request.params.projectId))) throw notFound(noProject)
    const data: SceneVideo[] = []
    for (const id of await reader.failedVideoIds(userId, request.params.projectId)) {
      const answer = commandReplySchema.parse(await bus.request(commandSubject.retry, { userId, id, attempt: null }))
      if (answer.ok) data.push(answer.video)
    }
    return reply.code(202).send({ data })
  })
}
