/**
 * The HTTP front that every way of accepting a request is measured behind: Fastify, and 202 once
 * `accept` has kept it.
 */
import Fastify from 'fastify'
import { answering } from './answering.ts'

export async function front(
  accept: (id: string, body: unknown) => Promise<unknown>,
): Promise<void> {
  const app = Fastify()
  app.post('/', async (request, reply) => {
    const id = crypto.randomUUID()
    await accept(id, request.body)
    return reply.code(202).send({ id })
  })
  await app.listen({ host: '127.0.0.1', port: Number(process.env['FRONT_PORT']) })
  process.on('SIGTERM', () => process.exit(0))
  answering()
}
