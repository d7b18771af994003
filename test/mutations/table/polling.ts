/** What an owner does with what it hosts. */
import type { Mutation } from '../mutation.ts'

export const polling: Mutation[] = [
  {
    rule: 'users take turns, however many accounts are theirs',
    find: 'userId || key',
    replace: 'key',
    by: 'turns by themselves',
  },
  {
    rule: 'polls keep half of the queries beside look-ups',
    find: 'Math.min(askedMs, ',
    replace: 'Math.max(askedMs, ',
    by: 'providers',
  },
  {
    rule: 'look-ups take from the account’s query budget',
    find: 'Math.max(entry.fullAt, now) + ms',
    replace: 'entry.fullAt',
    by: 'submit by itself',
  },
  {
    rule: 'what a poll asks again is a query of its account',
    find: '() => budget.take(account)',
    replace: '() => {}',
    by: 'the host by itself',
  },
  {
    rule: 'look-ups keep to the account’s limit of queries',
    find: 'if (!isLimited(provider)) return 0',
    replace: 'if (provider) return 0',
    by: 'submit by itself',
  },
  {
    rule: 'a webhook during a query has another one made',
    find: 'if (isAtOnce) return 0',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'a webhook that was ahead of its video is not forgotten',
    find: 'video.isHinted ? 0 : usualMs',
    replace: 'usualMs',
    by: 'the host by itself',
  },
  {
    rule: 'an end that a webhook told of is not gathered with others',
    find: 'report.soon ? soonest : ',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'a webhook that is missed has everything polled as usual',
    find: 'this.#accounts.delete(accountId)',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'users take turns at the queries of an account',
    find: 'this.#users.delete(one.userId)\n    if (queue?.length) this.#users.set(one.userId, queue)',
    replace: 'void queue',
    by: 'the host by itself',
  },
  {
    rule: 'no slot outlives a pause',
    find: ' && one.pause === pauses',
    replace: '',
    by: 'providers',
  },
  {
    rule: 'done without a result is unknown first, then the end',
    find: 'context.unusable + 1 >= unusableToEnd',
    replace: 'context.unusable < 0',
    by: 'the host by itself',
  },
  {
    rule: 'what runs is not asked to stop where only what waits can be',
    find: " && saidLast !== 'queued'",
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'an owner acts on a cancel',
    find: "reason === 'cancel'",
    replace: 'false',
    by: 'the host by itself',
  },
  {
    rule: 'an owner gives signs of life by its own timer',
    find: 'void this.#report(video, null)',
    replace: 'void 0',
    by: 'the host by itself',
  },
  {
    rule: 'the life of a result begins when the provider last worked on it',
    find: 'video.workingAt = this.#options.clock.now()',
    replace: 'video.workingAt -= 86_400_000',
    by: 'the host by itself',
  },
  {
    rule: 'an owner acts only while its lease is valid',
    find: 'return this.#options.clock.now() < this.#leaseValidUntil',
    replace: 'return true',
    by: 'simulation',
  },
  {
    rule: 'what is given away is not polled any more',
    find: '      this.drop(id)\n      return { id, epoch',
    replace: '      return { id, epoch',
    by: 'simulation',
  },
]
