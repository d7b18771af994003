/**
 * The newest message of each subject, as a list that is whole or throws. How long it takes depends
 * on how much there is, so it is broken off by silence, not by a time of its own.
 */
import { DeliverPolicy, type JetStreamClient } from 'nats'
import { sleep } from '#libs/runtime/clock.ts'
import { BusUnavailable, type Stored } from './bus.ts'

const lookMs = 1_000
const silentLooks = 10

/** @throws BusUnavailable when nothing more comes although there is more */
export async function newestOfEach(
  js: JetStreamClient,
  stream: string,
  { filter, headersOnly }: { filter: string; headersOnly: boolean },
): Promise<Stored[]> {
  const consumer = await js.consumers.get(stream, {
    filterSubjects: filter,
    deliver_policy: DeliverPolicy.LastPerSubject,
    headers_only: headersOnly,
  })
  const found = new Map<string, Stored>()
  let left = (await consumer.info()).num_pending
  if (left > 0) {
    const messages = await consumer.consume({
      max_messages: 5_000,
      expires: 5_000,
      idle_heartbeat: 1_000,
    })
    const over = new AbortController()
    const watching = stopWhenSilent(over.signal, {
      count: () => found.size,
      // a message that was replaced meanwhile comes no more
      isDone: async () => (await consumer.info()).num_pending === 0,
      stop: (isWhole) => {
        if (isWhole) left = 0
        messages.stop()
      },
    })
    for await (const message of messages) {
      found.set(message.subject, {
        subject: message.subject,
        sequence: message.seq,
        data: message.data,
        header: (name) => message.headers?.get(name) || undefined,
      })
      left = message.info.pending === 0 ? 0 : left - 1
      if (left <= 0) break
    }
    over.abort()
    await watching
    messages.stop()
  }
  await consumer.delete().catch(() => {})
  // rule: a list that was broken off throws
  if (left > 0)
    throw new BusUnavailable(`the list of ${filter} was broken off, ${left} are missing`)
  return [...found.values()]
}

async function stopWhenSilent(
  signal: AbortSignal,
  list: { count(): number; isDone(): Promise<boolean>; stop(isWhole: boolean): void },
): Promise<void> {
  for (let silent = 0, before = -1; !signal.aborted;) {
    await sleep(lookMs, signal)
    if (signal.aborted) return
    silent = list.count() === before ? silent + 1 : 0
    before = list.count()
    if (silent > 0 && (await list.isDone().catch(() => false))) return list.stop(true)
    if (silent >= silentLooks) return list.stop(false)
  }
}
