/**
 * The bare HTTP server: limits, and problems for whatever goes wrong before a route is reached.
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
import { bodyLimit, registerBodies } from './plugins/bodies.ts'
import { registerMethods } from './plugins/methods.ts'
import { registerRequestLog, requestIdOf } from './plugins/request-log.ts'
import { bodyOf, Problem, sendProblem } from './problem.ts'

export function createApp(log: Logger, trustProxy: string[] = []): App {
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'requestId',
    }),
    genReqId: requestIdOf,
    trustProxy: trustProxy.length ? trustProxy : false,
    forceCloseConnections: 'idle',
    bodyLimit,
    requestTimeout: 60_000,
    // a head that does not come is given up, and looked for more often than every half minute
    http: { headersTimeout: 20_000, connectionsCheckingInterval: 5_000 },
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: 200 },
    frameworkErrors: (err, request, reply) => void sendProblem(err, request, reply),
    clientErrorHandler: refuseConnection,
  }).withTypeProvider<ZodTypeProvider>() as unknown as App
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler((err, request, reply) => sendProblem(err, request, reply))
  registerRequestLog(app)
  registerMethods(app)
  registerBodies(app)
  return app
}

/** What is not HTTP, too long a head, or too slow. The socket is gone once this is sent. */
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
  socket.write(
    `HTTP/1.1 ${problem.status} ${bodyOf(problem).title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
  socket.destroySoon()
}
