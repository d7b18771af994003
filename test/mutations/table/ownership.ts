/** One owner at a time. */
import type { Mutation } from '../mutation.ts'

export const ownership: Mutation[] = [
  {
    rule: 'the clock counts what the machine slept',
    find: 'suspendedMs = suspended',
    replace: 'wallOffset = wall - monotonic',
    by: 'the clock by itself',
  },
  {
    rule: 'a lease ends before a peer may declare death',
    find: 'renewalStartedAt + this.#options.ttlMs - this.#options.ttlMs / 6',
    replace: 'renewalStartedAt + this.#options.ttlMs * 1.5',
    by: 'simulation',
  },
  {
    rule: 'a session found lost drops everything',
    find: 'host.dropAll()',
    replace: '',
    by: 'simulation',
  },
  {
    rule: 'death needs the beat to stand still',
    find: 'if (value.beat !== this.#live.get(id)?.beat) {',
    replace: 'if (value.beat < 0) {',
    by: 'simulation',
  },
  {
    rule: 'death needs the whole TTL',
    find: 'if (!isSilent || !bus.isConnected()) continue',
    replace: '',
    also: {
      find: 'if (this.#silentInMs(id) > 0) continue',
      replace: 'if (this.#silentFor(id) < 1_000) continue',
    },
    by: 'simulation',
  },
  {
    rule: 'no claim of a live peer’s video',
    find: 'if (!isFree) return null',
    replace: '',
    by: 'simulation',
  },
  {
    rule: 'claims are compare-and-set',
    find: 'const expect = { sequence: Number(expected) }',
    replace: "const expect = key.startsWith('owner') ? undefined! : { sequence: Number(expected) }",
    by: 'simulation',
  },
  {
    rule: 'nobody claims in a new bucket for the longest TTL',
    find: 'generation > 1 ? now - ageMs : -Infinity',
    replace: '-Infinity',
    by: 'rules by themselves',
  },
  {
    rule: 'no claim by a session of a lost bucket',
    find: 'generationOf(epoch) !== generationOf(this.#session.revision)',
    replace: 'epoch < 0n',
    by: 'rules by themselves',
  },
  {
    rule: 'one claim per video at a time',
    find: 'if (running) return running',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'consent ends with the epoch it was given for',
    find: '(value.session === from?.session && revision === from.epoch)',
    replace: 'value.session === from?.session',
    by: 'rules by themselves',
  },
  {
    rule: 'a bid written before a reconnect is made again',
    find: ' || connectionNo !== ownership.connectionNo',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'nobody claims for the longest TTL after its start',
    find: ': isVeryFirst ? -Infinity : now',
    replace: ': -Infinity',
    by: 'rules by themselves',
  },
  {
    rule: 'after a reconnect an owner audits its records',
    find: 'if (!this.#audit.isDone) await this.#audit.run()',
    replace: '',
    by: 'simulation',
  },
  {
    rule: 'nobody claims for the longest TTL after a reconnect',
    find: 'this.#quietSince = this.#connectedSince',
    replace: '',
    by: 'rules by themselves',
  },
  {
    rule: 'a lapsed lease waits for the longest TTL after a reconnect',
    find: 'if (!this.#mayBeTakenOver())',
    replace: '',
    by: 'rules by themselves',
  },
  {
    rule: 'revisions of a new bucket start above every epoch',
    find: 'first_seq: firstSequence(generation),',
    replace: '',
    by: 'broker against nats-server',
  },
  {
    rule: 'one message per video in a work queue',
    find: '      discard_new_per_subject: true,\n',
    replace: '',
    by: 'broker against nats-server',
  },
  {
    rule: 'a nudge for a video that nobody hosts claims it',
    find: "reason === 'stale' || reason === 'cancel'",
    replace: "reason === 'stale'",
    by: 'schedules',
  },
  {
    rule: 'after a lost session what it owned is claimed again',
    find: 'claims.claimAgain(owned)',
    replace: '',
    by: 'schedules',
  },
  {
    rule: 'the longer TTL judges',
    find: 'Math.max(this.#options.ttlMs, this.#live.get(id)?.ttlMs ?? 0)',
    replace: 'this.#options.ttlMs',
    by: 'rules by themselves',
  },
  {
    rule: 'what is owned no more is dropped',
    find: 'host.videos.get(id)?.epoch === epoch)',
    replace: 'host.videos.size === -1)',
    by: 'schedules',
  },
  {
    rule: 'a revocation is of one epoch',
    find: 'video.epoch === epoch',
    replace: 'video.epoch !== ``',
    by: 'the host by itself',
  },
]
