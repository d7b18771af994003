/** An image from a browser or a disk, for providers to begin with. */
import multipart from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import type { Route } from '../context.ts'
import { Problem } from '../problem.ts'
import { leaveTurn } from '../turns.ts'
import { brokenOff, imageTypes, keepUpload } from '../uploads.ts'

const uploadedSchema = z
  .object({
    id: z.uuid().describe('Goes into `imageUrls` where a video is asked for'),
    bytes: z.number().int(),
    type: z.enum(imageTypes).describe('As its bytes say, whatever it was called'),
  })
  .meta({ id: 'Upload' })

/** The image, in a part or as the whole body. @throws Problem 400, 415 */
async function imageOf(request: FastifyRequest, mostBytes: number): Promise<Readable> {
  if (request.body instanceof Readable) return request.body
  if (!request.isMultipart())
    throw new Problem(
      415,
      'unsupported_media_type',
      'Send the image as a part of multipart/form-data, or as the body.',
    )
  const part = await request.file({ limits: { fileSize: mostBytes + 1 } }).catch(() => {
    throw brokenOff()
  })
  if (!part) throw new Problem(400, 'invalid_request', 'There is no file in the body.')
  return part.file
}

export const createUpload: Route = (app, context) => {
  // anything but JSON and multipart is the image itself
  app.addContentTypeParser('*', (_request: FastifyRequest, body: Readable, done) =>
    done(null, body),
  )
  void app.register(multipart, {
    limits: { files: 1, fields: 0, parts: 1, headerPairs: 50 },
    throwFileSizeLimit: false,
  })
  app.post(
    '/api/uploads',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'createUpload',
        tags: ['videos'],
        summary: 'Send an image, to be used as a reference',
        description:
          'One part of a multipart/form-data body, or the body itself. Deleted when no video has used it for a day.',
        response: { 201: uploadedSchema },
      },
    },
    async (request, reply) => {
      leaveTurn()
      const image = await imageOf(request, context.uploadLimits.mostBytes)
      const made = await keepUpload(context, request.identity.userId, image)
      return reply.code(201).send(made as never)
    },
  )
}
