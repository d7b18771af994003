/** Accepts requests as jobs of pg-boss; nobody takes them. */
import { PgBoss } from 'pg-boss'
import { front } from '../lib/front.ts'

const boss = new PgBoss({ connectionString: process.env['DATABASE_URL'], max: 12 })
boss.on('error', () => {})
await boss.start()
await boss.createQueue('submit')
await front((id, body) => boss.send('submit', { id, body }))
