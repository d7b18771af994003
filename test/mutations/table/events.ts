/** Each event is stored once, in order, and none is lost. */
import type { Mutation } from '../mutation.ts'

export const events: Mutation[] = [
  {
    rule: 'lost is only what the stream should hold',
    find: 'Math.max(firstOf(generation), firstSequence)',
    replace: 'Math.max(firstOf(generation), 0 * firstSequence)',
    by: 'outbox',
  },
  {
    rule: 'an event is marked after it is published',
    find: "  if (events.length) crashPoint('before-publish')",
    replace:
      '  await store.markPublished(events.map(({ timelineId }) => ({ timelineId, sequence: 1 })))',
    by: 'simulation',
  },
  {
    rule: 'an event is stored under its video’s last sequence',
    find: '{ headers: eventHeaders(event), expect })',
    replace: '{ headers: eventHeaders(event) })',
    by: 'simulation',
  },
  {
    rule: 'nothing at or below the newest stored version is published',
    find: 'if (last.version >= event.body.version) return last',
    replace: '',
    by: 'outbox',
  },
  {
    rule: 'the cache of last published events is cleared at a reconnect',
    find: 'this.#of.clear()',
    replace: '',
    by: 'outbox',
  },
  {
    rule: 'Postgres is believed what the stream holds once they were compared',
    find: 'this.#isStreamWhole = false\n    })',
    replace: '})',
    by: 'last published',
  },
  {
    rule: 'what a newer process said is left to a newer one',
    find: 'if (isNewer(body) && job.deliveries <= leftAtMost) {',
    replace: 'if (isNewer(body) && job.deliveries <= 0) {',
    by: 'versions',
  },
  {
    rule: 'owed events are found again',
    find: 'if (owed.length) await publishOwed(bus, outbox, owed)',
    replace: '',
    also: { find: 'overdue.length ? await publishOwed(bus, outbox, overdue) : 0', replace: '0' },
    by: 'simulation',
  },
  {
    rule: 'what NATS has lost is owed again',
    find: '    const videos = await requeueLostEvents(bus, outbox)',
    replace: '    const videos = 0',
    by: 'simulation',
  },
  {
    rule: 'missing versions are published before what follows them',
    find: 'const lost = version > last.version + 1 ?',
    replace: 'const lost = version < 0 ?',
    by: 'simulation',
  },
  {
    rule: 'nothing is published when the stream has gone back',
    find: 'if (now.version < last.version) throw',
    replace: 'if (now.version < 0) throw',
    by: 'outbox',
  },
]
