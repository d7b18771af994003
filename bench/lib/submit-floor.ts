/**
 * A worker that accepts requests with the least there is: a POST under Fastify is one INSERT and
 * one message stored by JetStream.
 */
import Fastify from 'fastify'
import { connect } from 'nats'
import pg from 'pg'
import { answering } from './answering.ts'

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 12 })
await pool.query('CREATE TABLE IF NOT EXISTS floor (id uuid PRIMARY KEY, body jsonb NOT NULL)')
const nats = await connect({ servers: process.env['NATS_URL'] ?? '' })
await (await nats.jetstreamManager()).streams.add({ name: 'FLOOR', subjects: ['floor.*'] })
const stream = nats.jetstream()
const app = Fastify()
app.post('/', async (request, reply) => {
  const id = crypto.randomUUID()
  const body = JSON.stringify(request.body)
  await pool.query('INSERT INTO floor VALUES ($1, $2)', [id, body])
  await stream.publish(`floor.${id}`, body)
  return reply.code(202).send({ id })
})
await app.listen({ host: '127.0.0.1', port: Number(process.env['FLOOR_PORT']) })
process.on('SIGTERM', () => process.exit(0))
answering()
