/**
 * To be run once after Postgres was restored from an older copy, before the services are started
 * again.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { newestPublished } from '#libs/outbox/outbox.ts'
import { streams } from '#libs/bus/streams.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { afterRestore, connectedServices } from '#libs/store/restored.ts'
import { UsageError } from './command.ts'
import { addressOf, natsConfig, withDatabase } from './config.ts'

export const usage = `postgres-restored                   after Postgres was restored from an older copy, while the services are stopped: what it
                                    has forgotten is not paid for again, no version and no epoch is used twice`

const say = (line: string) => void process.stdout.write(`${line}\n`)

export async function run(args: string[]): Promise<void> {
  if (args.length > 0) throw new UsageError('postgres-restored takes no arguments.')
  const config = natsConfig()
  if (!config)
    throw new Error('Which NATS? Set NATS_URL, or run this where `npm start` is running.')
  const running = await withDatabase(connectedServices)
  if (running.length)
    throw new Error(`${running.join(', ')} use this database: stop the services first.`)
  const bus = await connectBus({
    config,
    user: 'operator',
    name: 'cli',
    log: createLogger('cli', 'silent'),
    patient: false,
  }).catch((err: Error) => {
    throw new Error(`NATS is not reachable at ${addressOf(config)}: ${err.message}`, { cause: err })
  })
  try {
    say('reading what was published …')
    const published = await newestPublished(bus)
    const generation = published.length ? (await bus.stateOf(streams.ownership)).generation : 0
    const { guarded, advanced, forgotten } = await withDatabase((db) =>
      afterRestore(db, published, generation),
    )
    say(
      `${guarded} videos will be looked up at their provider before anything is sent for them again.`,
    )
    say(
      `${advanced} videos had published newer versions than Postgres remembers; they go on from there.`,
    )
    for (const id of forgotten) say(`${id} is forgotten: it was accepted after the copy was made`)
    say(`${forgotten.length} videos are forgotten. Now start the services.`)
  } finally {
    await bus.drain()
  }
}
