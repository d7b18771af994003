/**
 * Every rule that keeps a law, and how to switch it off. The source carries the mark `// rule:
 * <rule>` above the statement; `find` is a piece of what follows the mark (white space and trailing
 * commas do not count), `replace` stands there instead. `by` finds the broken law.
 */
export type Finder =
  | 'providers'
  | 'the host by itself'
  | 'simulation'
  | 'store against Postgres'
  | 'broker against nats-server'
  | 'outbox'
  | 'rules of the store'
  | 'rules by themselves'
  | 'decisions'
  | 'submit by itself'
  | 'status by itself'
  | 'the reconciler by itself'
  | 'sessions by themselves'
  | 'lists by themselves'

export interface Mutation {
  rule: string
  find: string
  replace: string
  /**
   * Where two measures stand in for each other, both go: the second has the mark `<rule>, second`.
   */
  also?: { find: string; replace: string }
  by: Finder
}

export const mutations: Mutation[] = [
  {
    rule: 'no key is told',
    find: 'told = told.replace(patternOf(secret), blank)',
    replace: 'patternOf(secret)',
    by: 'providers',
  },
  {
    rule: 'one bound on the whole request',
    find: 'outgoing.timeoutMs)',
    replace: '2 ** 30)',
    by: 'providers',
  },
  {
    rule: 'the last check is at the socket',
    find: 'this.#outgoing.mayWrite?.() === false',
    replace: 'false',
    by: 'providers',
  },
  {
    rule: 'what was not written was not accepted',
    find: "{ kind: 'later', retryAfterMs: null, reason: sent.reason }",
    replace: "{ kind: 'unknown', reason: sent.reason }",
    by: 'providers',
  },
  {
    rule: 'absence is the provider’s own word',
    find: 'dialect.missingCodes.includes(said.code)',
    replace: 'status === 404',
    by: 'providers',
  },
  {
    rule: 'a list proves an absence only when it was read to its end',
    find: 'if (cursor === null) return choose',
    replace: 'return choose',
    by: 'providers',
  },
  {
    rule: 'a task is taken from a list only when it alone fits',
    find: 'left.length === 1 && only',
    replace: 'only',
    by: 'providers',
  },
  {
    rule: 'an answer is about what was asked',
    find: 'if (isOther)',
    replace: 'if (isOther && ids.length > 9)',
    by: 'providers',
  },
  {
    rule: 'a useless query of many is not repeated',
    find: 'withoutMany.add(account.baseUrl)',
    replace: 'withoutMany.has(account.baseUrl)',
    by: 'providers',
  },
  {
    rule: 'done without a result is unknown first, then the end',
    find: 'context.unusable + 1 >= unusableToEnd',
    replace: 'context.unusable < 0',
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
    rule: 'a query without an end is given up',
    find: 'open.giveUp()',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'a run that takes long counts against its own key only',
    find: 'this.#counting.delete(slot)',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'fence: the attempt',
    find: '`v.attempt = i.attempt AND v.status IN',
    replace: '`v.status IN',
    by: 'store against Postgres',
  },
  {
    rule: 'fence: the epoch',
    find: '\'generating\') AND v.epoch = i.epoch AND v."reportNo" < i.no`',
    replace: '\'generating\') AND (v.epoch, v."reportNo") < (i.epoch, i.no)`',
    by: 'store against Postgres',
  },
  {
    rule: 'fence: the report number',
    find: ' AND v.epoch = i.epoch AND v."reportNo" < i.no`',
    replace: ' AND v.epoch = i.epoch`',
    by: 'store against Postgres',
  },
  {
    rule: 'fence: nothing after the end',
    find: "`v.attempt = i.attempt AND v.status IN ('pending', 'generating') AND",
    replace: '`v.attempt = i.attempt AND',
    by: 'store against Postgres',
  },
  {
    rule: 'one locked row is put aside alone',
    find: 'FOR NO KEY UPDATE OF v SKIP LOCKED',
    replace: 'FOR NO KEY UPDATE OF v',
    by: 'rules of the store',
  },
  {
    rule: 'lost is only what the stream should hold',
    find: 'Math.max(firstOf(generation), firstSequence)',
    replace: 'Math.max(firstOf(generation), 0 * firstSequence)',
    by: 'outbox',
  },
  {
    rule: 'delays are whole milliseconds',
    find: 'Math.ceil(ms)',
    replace: 'ms',
    by: 'outbox',
  },
  {
    rule: 'one report that does not fit is buried alone',
    find: 'await deadLetter(options, letter, reason)',
    replace: 'await deadLetter(options, job, reason)',
    by: 'status by itself',
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
    rule: 'a claim commits its epoch',
    find: 'SET epoch = b.epoch, "reportNo"',
    replace: 'SET epoch = v.epoch, "reportNo"',
    by: 'store against Postgres',
  },
  {
    rule: 'a claim below the row’s epoch is refused',
    find: '(v.epoch < b.epoch OR (v.epoch = b.epoch AND v.session = ${session}))',
    replace: '(v.epoch <> b.epoch OR v.session = ${session})',
    by: 'store against Postgres',
  },
  {
    rule: 'one winner for an intent',
    find: 'if ((last?.send ?? 0) !== send - 1) return null',
    replace: '',
    by: 'decisions',
  },
  {
    rule: 'a retry serialises on its attempt',
    find: 'if (attempt !== null && attempt !== video.attempt) throw',
    replace: 'if (attempt === -1) throw',
    by: 'decisions',
  },
  {
    rule: 'one row per video per statement',
    find: '(rounds[k] ??= []).push(report)',
    replace: '(rounds[k * 0] ??= []).push(report)',
    by: 'simulation',
  },
  {
    rule: 'an owner acts only while its session is trusted',
    find: 'return this.#o.clock.now() < this.#trustedUntil',
    replace: 'return true',
    by: 'simulation',
  },
  {
    rule: 'trust ends before a peer may declare death',
    find: 'renewalStartedAt + this.#o.ttlMs - this.#o.ttlMs / 6',
    replace: 'renewalStartedAt + this.#o.ttlMs * 1.5',
    by: 'simulation',
  },
  {
    rule: 'a session found lost drops everything',
    find: '      host.dropAll()\n      claims.forget()',
    replace: '      claims.forget()',
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
    find: 'if (silentMs < ttlMs || !bus.isConnected()) continue',
    replace: 'if (silentMs < 0) continue',
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
    rule: 'nobody claims in a new bucket for one TTL',
    find: 'generation > 1 ? ttlMs - ageMs : 0',
    replace: '0',
    by: 'rules by themselves',
  },
  {
    rule: 'no claim by a session of a lost bucket',
    find: 'generationIn(epoch) !== generationIn(this.#revision)',
    replace: 'epoch < 0n',
    by: 'rules by themselves',
  },
  {
    rule: 'one bid per video at a time',
    find: 'if (running) return running',
    replace: '',
    by: 'simulation',
  },
  {
    rule: 'consent ends with the epoch it was given for',
    find: '(value.session === from?.session && revision === from.epoch)',
    replace: 'value.session === from?.session',
    by: 'rules by themselves',
  },
  {
    rule: 'what is given away is not polled any more',
    find: '      this.drop(id)\n      return { id, epoch',
    replace: '      return { id, epoch',
    by: 'simulation',
  },
  {
    rule: 'only the winner of the intent sends',
    find: 'if (intended === null) return 1_000',
    replace: 'if (intended === undefined) return 1_000',
    by: 'submit by itself',
  },
  {
    rule: 'nothing is sent after the send window',
    find: 'if (!mayWrite()) {',
    replace: 'if (!mayWrite() && send < 0) {',
    by: 'submit by itself',
  },
  {
    rule: 'what may have been accepted is looked up',
    find: 'const finding = await lookUpSends(context, loaded)',
    replace: "const finding = { kind: 'clear' } as Awaited<ReturnType<typeof lookUpSends>>",
    by: 'simulation',
  },
  {
    rule: 'absence counts only after the whole window',
    find: "answer.kind === 'missing' && absences.counts(",
    replace: "answer.kind === 'missing' || absences.counts(",
    by: 'simulation',
  },
  {
    rule: 'the look-up window is the looking process’s own',
    find: 'if (isAbsent(context, submission, answer)) return',
    replace:
      "if (taskId === null && answer.kind === 'missing' && ageMs >= context.config.LOOKUP_WINDOW_MS) return",
    by: 'simulation',
  },
  {
    rule: 'a send that may have been accepted makes room for no other',
    find: 'if (last && !isNotAccepted(last.answer)) return null',
    replace: '',
    by: 'decisions',
  },
  {
    rule: 'an attempt has at most three sends that may be accepted',
    find: "own.length >= maxSends && own.at(-1)?.answer !== 'later'",
    replace: 'own.length < 0',
    by: 'decisions',
  },
  {
    rule: 'an id once seen is not overwritten',
    find: "sent.taskId === null ? 'on_send' : 'beside'",
    replace: "'on_send'",
    by: 'decisions',
  },
  {
    rule: 'a send nobody can tell of is not repeated',
    find: 'return isEarlier ? clear : unknown(reason)',
    replace: 'return clear',
    also: { find: "answer === 'absent' || answer === 'refused'", replace: "answer !== 'accepted'" },
    by: 'simulation',
  },
  {
    rule: 'a retry takes what earlier attempts became',
    find: 'if (taskId !== null && mayDeliver(answer)) {',
    replace:
      'if (taskId !== null && mayDeliver(answer) && isEarlier) return clear\n  if (taskId !== null && mayDeliver(answer)) {',
    by: 'simulation',
  },
  {
    rule: 'a lost answer is not taken for a refusal',
    find: "    case 'unknown':\n",
    replace:
      "    case 'unknown':\n      await store.answered(id, attempt, send, 'later', answer.reason)\n",
    by: 'simulation',
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
    rule: 'what is known of the newest events is forgotten at a reconnect',
    find: '    bus.onReconnect(() => this.#of.clear())\n',
    replace: '',
    by: 'outbox',
  },
  {
    rule: 'owed events are found again',
    find: 'if (owed.length) await publishOwed(bus, outbox, owed)',
    replace: '',
    also: { find: 'overdue.length ? await publishOwed(bus, outbox, overdue) : 0', replace: '0' },
    by: 'simulation',
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
    rule: 'deadlines and cancels of pending videos wait for nothing',
    find: 'await eachLimited(due, endedAtOnce, (one) => this.#onDue(one))',
    replace: 'for (const one of due) this.take(one.id)',
    by: 'submit by itself',
  },
  {
    rule: 'a further send keeps the first one’s pins',
    find: 'pinsOf(context, loaded.config, last)',
    replace: 'pinsOf(context, loaded.config)',
    by: 'submit by itself',
  },
  {
    rule: 'absence counts only where recovery was seen to work',
    find: 'if (!isEarlier && !(account && (await accounts.isProven(store, account.id, provider)))) return',
    replace: 'if (!isEarlier && !account) return',
    by: 'submit by itself',
  },
  {
    rule: 'a decision is written only to the row it was taken from',
    find: ' AND v.xmin = ${revision}::text::xid`',
    replace: ' AND ${revision}::text IS NOT NULL`',
    by: 'rules of the store',
  },
  {
    rule: 'after a restore a video is looked up before a send',
    find: 'if (intentMayBeLost(loaded)) return',
    replace: 'if (intentMayBeLost(loaded) && clock.now() < 0) return',
    by: 'simulation',
  },
  {
    rule: 'after a restore earlier attempts are looked up, too',
    find: 'if (video.restoredAt !== null && (await',
    replace: 'if (video.restoredAt !== null && video.attempt < 0 && (await',
    by: 'submit by itself',
  },
  {
    rule: 'a claim written before a reconnect is made again',
    find: ' || connection !== ownership.connection',
    replace: '',
    by: 'rules by themselves',
  },
  {
    rule: 'nobody claims for one TTL after its start',
    find: ': isVeryFirst ? ttlMs : 0',
    replace: ': ttlMs',
    by: 'rules by themselves',
  },
  {
    rule: 'what NATS has lost is owed again',
    find: '    const videos = await requeueLostEvents(bus, outbox)',
    replace: '    const videos = 0',
    by: 'simulation',
  },
  {
    rule: 'a gap brings along what was lost',
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
  {
    rule: 'after a reconnect an owner audits its records',
    find: 'if (this.#isAudited) return true',
    replace: 'if (Number.isFinite(1)) return true',
    by: 'simulation',
  },
  {
    rule: 'nobody claims for one TTL after a reconnect',
    find: 'this.#claimsFrom = Math.max(this.#claimsFrom, clock.now() + this.#o.ttlMs)',
    replace: '',
    by: 'rules by themselves',
  },
  {
    rule: 'trust that had lapsed waits for one TTL after a reconnect',
    find: ' && !this.#mayBeTakenOver()',
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
]
