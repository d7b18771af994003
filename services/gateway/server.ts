/**
 * The bare HTTP server: limits, parsing, and problems for whatever goes wrong before a route is
 * reached.
 */
import { fastify, LogController } from 'fastify'
import {
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import type { Socket } from 'node:net'
import type { Logger } from '#libs/runtime/logger.ts'
import type { App } from './context.ts'
import { bodyOf, notFound, Problem, sendProblem } from './problem.ts'

export function createApp(log: Logger): App {
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: 'idle',
    bodyLimit: 256 * 1024,
    requestTimeout: 60_000,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 200 },
    frameworkErrors: (err, request, reply) => void sendProblem(err, request, reply),
    clientErrorHandler: refuseConnection,
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler((err, request, reply) => sendProblem(err, request, reply))
  app.setNotFoundHandler((request, reply) =>
    sendProblem(notFound('There is no such route; see /docs.'), request, reply),
  )
  // An empty body of type JSON is a request without options.
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request, body: Buffer, done) => {
      if (body.length === 0) return done(null, undefined)
      const text = decode(body)
      if (text === null) return done(new Problem(400, 'invalid_request', 'The body is not UTF-8.'))
      return parseJson(request, text, (err, value) =>
        err
          ? done(new Problem(400, 'invalid_request', 'The body is not JSON.'))
          : done(null, value),
      )
    },
  )
  return app as unknown as App
}

const decoder = new TextDecoder('utf-8', { fatal: true })
function decode(body: Buffer): string | null {
  try {
    return decoder.decode(body)
  } catch {
    return null
  }
}

/** What is not HTTP, or too long a head. */
function refuseConnection(err: Error & { code?: string }, socket: Socket): void {
  if (err.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const tooLarge = err.code === 'HPE_HEADER_OVERFLOW'
  const problem =
    err.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? new Problem(408, 'timeout', 'The request took too long to arrive.')
      : tooLarge
        ? new Problem(431, 'too_large', 'The request’s headers are too large.')
        : new Problem(400, 'invalid_request', 'This is not a valid HTTP request.')
  const body = JSON.stringify(bodyOf(problem))
  socket.end(
    `HTTP/1.1 ${problem.status} ${bodyOf(problem).title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
