/**
 * Bodies of requests: JSON in UTF-8, also compressed by gzip, within a limit that holds for what
 * comes out. Any other encoding is 415.
 */
import type { FastifyRequest } from 'fastify'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { App } from '../context.ts'
import { Problem } from '../problem.ts'

export const bodyLimit = 256 * 1024
const unzip = promisify(gunzip)
const decoder = new TextDecoder('utf-8', { fatal: true })

const tooLarge = () =>
  new Problem(413, 'too_large', `The body is too large: ${bodyLimit} bytes at most.`)

/** The bytes that were meant. @throws Problem 413, 415, 400 */
async function decoded({ headers }: FastifyRequest, body: Buffer): Promise<Buffer> {
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (encoding === 'identity' || encoding === '') return body
  if (encoding !== 'gzip' && encoding !== 'x-gzip')
    throw new Problem(415, 'unsupported_encoding', 'Send the body as it is, or as gzip.')
  try {
    return await unzip(body, { maxOutputLength: bodyLimit })
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    throw new Problem(400, 'invalid_request', 'The body is not gzip.')
  }
}

/**
 * What is still to come of a body that was refused is read and dropped: else the next request on
 * the same connection waits behind it until its time is over.
 */
function dropTheRest({ raw }: FastifyRequest): void {
  if (raw.complete) return
  raw.unpipe()
  raw.resume()
}

export function registerBodies(app: App): void {
  app.addHook('onResponse', async (request) => dropTheRest(request))
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, raw: Buffer): Promise<unknown> => {
      const body = await decoded(request, raw)
      // An empty body of type JSON is a request without options.
      if (body.length === 0) return undefined
      let text: string
      try {
        text = decoder.decode(body)
      } catch {
        throw new Problem(400, 'invalid_request', 'The body is not UTF-8.')
      }
      return new Promise((resolve, reject) => {
        void parseJson(request, text, (err, value) =>
          err
            ? reject(new Problem(400, 'invalid_request', 'The body is not JSON.'))
            : resolve(value),
        )
      })
    },
  )
}
