/** An upload, to the provider that has a link to it: signed, and good for some days. */
import { Readable } from 'node:stream'
import { z } from 'zod'
import { isSigned } from '#libs/files/upload-links.ts'
import { unixMs } from '#libs/runtime/clock.ts'
import { uploadKey } from '#libs/store/uploads.ts'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'
import { ids } from '../schemas.ts'
import { imageTypes } from '../uploads.ts'

export const getUpload: Route = (app, { uploads, files }) => {
  app.get(
    '/uploads/:id',
    {
      schema: {
        operationId: 'getUpload',
        tags: ['videos'],
        summary: 'An upload, by a link that was given to a provider',
        'x-public': true,
        'x-problems': [404],
        params: ids('id'),
        querystring: z.object({ expires: z.string().max(20), signature: z.string().max(100) }),
        produces: [...imageTypes],
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const upload = await uploads.find(id)
      // rule: an upload is given to nobody but who has a link that is still good
      if (!upload || !isSigned(upload, request.query, unixMs() / 1_000))
        throw notFound('There is no such upload, or the link to it is no longer good.')
      reply.headers({
        'content-type': upload.type,
        'content-length': upload.bytes,
        'cache-control': 'private, no-store',
        'content-disposition': 'attachment',
      })
      if (request.method === 'HEAD') return reply.send(Readable.from([]))
      const body = await files.read(uploadKey(id))
      if (!body) throw notFound('It is not where it was kept.')
      return reply.send(
        body instanceof Readable ? body : Readable.from(body, { objectMode: false }),
      )
    },
  )
}
