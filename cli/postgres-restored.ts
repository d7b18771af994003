/** To be run once after Postgres was restored from an older copy, before the services are started again. */
import { connectBus } from '#libs/bus/connect.ts'
import { newestPublished } from '#libs/bus/outbox.ts'
import { streams } from '#libs/bus/topology.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { openDatabase } from '#libs/store/connect.ts'
import { afterRestore } from '#libs/store/restored.ts'
import { databaseUrl, natsUrl } from './config.ts'

export const usage = `postgres-restored                   after Postgres was restored from an older copy, while the services are stopped: what it
                                    has forgotten is not paid for again, no version and no epoch is used twice`

const say = (line: string) => void process.stdout.write(`${line}\n`)

export async function run(args: string[]): Promise<number> {
  const [nats, postgres] = [natsUrl(), databaseUrl()]
  if (args.length > 0 || !nats || !postgres) {
    process.stderr.write(args.length > 0 ? `${usage}\n` : 'Which Postgres and NATS? Set DATABASE_URL and NATS_URL, or run this where `npm start` is running.\n')
    return args.length > 0 ? 2 : 1
  }
  const db = openDatabase(postgres, 1)
  const bus = await connectBus({ url: nats, name: 'cli', log: createLogger('cli', 'silent'), patient: false })
  try {
    say('reading what was published …')
    const published = await newestPublished(bus)
    const generation = published.length ? (await bus.stateOf(streams.ownership)).generation : 0
    const { guarded, advanced, forgotten } = await afterRestore(db, published, generation)
    say(`${guarded} videos will be looked up at their provider before anything is sent for them again.`)
    say(`${advanced} videos had published newer versions than Postgres remembers; they go on from there.`)
    for (const id of forgotten) say(`${id} is forgotten: it was accepted after the copy was made`)
    say(`${forgotten.length} videos are forgotten. Now start the services.`)
    return 0
  } catch (err) {
    process.stderr.write(`not done: ${(err as Error).message}\n`)
    return 1
  } finally {
    await bus.drain()
    await db.$disconnect()
  }
}
