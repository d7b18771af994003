/** Whatever has stopped is found again, and nothing is taken from who has it in hand. */
import type { Mutation } from '../mutation.ts'

export const recovery: Mutation[] = [
  {
    rule: 'every page of a list is a query',
    find: 'if (isLimited(provider)) this.#takeNext',
    replace: 'if (!id) this.#takeNext',
    by: 'submit by itself',
  },
  {
    rule: 'users take turns at the slots of an account',
    find: 'create, userId)',
    replace: 'create)',
    by: 'submit by itself',
  },
  {
    rule: 'a retry looks first for what ended an earlier attempt',
    find: "return lookedAt === null || (answer === 'lost' && lookedAt < requestedAt)",
    replace: 'return false && lookedAt === requestedAt',
    by: 'submit by itself',
  },
  {
    rule: 'what nobody can tell of is asked about as long as results live',
    find: 'reason, isOpen)',
    replace: 'reason, isOpen && false)',
    by: 'submit by itself',
  },
  {
    rule: 'a look-up takes its user’s turn',
    find: '{ name, userId, seenAt }',
    replace: "{ name, userId: '', seenAt }",
    by: 'submit by itself',
  },
  {
    rule: 'delays are whole milliseconds',
    find: 'Math.ceil(ms)',
    replace: 'ms',
    by: 'outbox',
  },
  {
    rule: 'a list that was broken off throws',
    find: 'if (left > 0) throw',
    replace: 'if (left > 9) throw',
    by: 'lists by themselves',
  },
  {
    rule: 'the end of a session ends no process',
    find: "pool.on('connect', (client) => client.on('error', () => {}))",
    replace: '',
    by: 'sessions by themselves',
  },
  {
    rule: 'a live owner is asked before it loses a video',
    find: 'stale.filter((video) => !hosted.has(video.id))',
    replace: 'stale',
    by: 'the reconciler by itself',
  },
  {
    rule: 'a video that its owner does not host is taken from it',
    find: 'owner && suspects.get(id) === epoch',
    replace: 'owner && suspects.get(id) === epoch && hosted.has(id)',
    by: 'the reconciler by itself',
  },
  {
    rule: 'an owner says what it hosts',
    find: 'hosted.get(id)?.epoch === epoch',
    replace: 'hosted.get(id)?.epoch !== epoch',
    by: 'the reconciler by itself',
  },
  {
    rule: 'owner records of ended videos are removed',
    find: 'owned.filter((record) => ended.has(record.videoId))',
    replace: '[]',
    by: 'the reconciler by itself',
  },
  {
    rule: 'an owner is told again of a cancel until the video has ended',
    find: "reason: promise === 'cancel' ? 'cancel' : 'stale'",
    replace: "reason: 'stale'",
    by: 'the reconciler by itself',
  },
  {
    rule: 'the reconciler finds what nobody owns',
    find: '  await eachLimited(unowned, atOnce, (id) => publishWork(bus, pollWorkSubject(id), { id }))',
    replace: '',
    also: {
      find: '  const stale = await recovery.staleVideos(staleAfterMs)',
      replace: '  const stale: Awaited<ReturnType<typeof recovery.staleVideos>> = []',
    },
    by: 'simulation',
  },
  {
    rule: 'the reconciler hands back what stopped',
    find: '  await eachLimited(pending, atOnce, (id) => publishWork(bus, submitWorkSubject(id), { id }))',
    replace: '',
    also: { find: 'await this.#context.store.takeDue(mostDue)', replace: '[] as DueVideo[]' },
    by: 'simulation',
  },
  {
    rule: 'nothing is taken from an owner at the first look',
    find: 'suspects.get(id) === epoch',
    replace: 'suspects.get(id) !== null',
    by: 'the reconciler by itself',
  },
  {
    rule: 'after a reconnect the reconciler looks for lost work',
    find: 'dueAt = Math.min(dueAt, clock.now() + settleMs)',
    replace: '',
    by: 'schedules',
  },
  {
    rule: 'a look that is rare is woken',
    find: 'if (!this.#woken.signal.aborted) this.#woken.abort()',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'an undecided claim is made again soon',
    find: 'if (ids.length) this.#retrying?.wake()',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'a circuit is read again before it is judged',
    find: 'await this.#circuits.refresh(staleMs)',
    replace: '',
    by: 'submit by itself',
  },
]
