/** Accepts requests with the least there is: one INSERT and one message stored by JetStream. */
import { connect } from 'nats'
import pg from 'pg'
import { front } from './front.ts'

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 12 })
await pool.query('CREATE TABLE IF NOT EXISTS floor (id uuid PRIMARY KEY, body jsonb NOT NULL)')
const nats = await connect({ servers: process.env['NATS_URL'] ?? '' })
await (await nats.jetstreamManager()).streams.add({ name: 'FLOOR', subjects: ['floor.*'] })
const stream = nats.jetstream()
await front(async (id, body) => {
  const text = JSON.stringify(body)
  await pool.query('INSERT INTO floor VALUES ($1, $2)', [id, text])
  await stream.publish(`floor.${id}`, text)
})
