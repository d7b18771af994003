/** Every rule that keeps a law, and how to switch it off: a piece of source and what stands there instead. `by` finds the broken law. */
export type Finder = 'simulation' | 'store against Postgres' | 'broker against nats-server' | 'outbox' | 'who may send' | 'rules by themselves'

export interface Mutation {
  rule: string
  file: string
  find: string
  replace: string
  /** Where two measures stand in for each other, both go. */
  also?: { file: string; find: string; replace: string }
  by: Finder
}

export const mutations: Mutation[] = [
  { rule: 'fence: the attempt', file: 'libs/store/reports.ts', find: '`v.attempt = i.attempt AND v.status IN', replace: '`v.status IN', by: 'store against Postgres' },
  { rule: 'fence: the epoch', file: 'libs/store/reports.ts', find: "'generating') AND v.epoch = i.epoch AND v.\"reportNo\" < i.no`", replace: "'generating') AND (v.epoch, v.\"reportNo\") < (i.epoch, i.no)`", by: 'store against Postgres' },
  { rule: 'fence: the report number', file: 'libs/store/reports.ts', find: ' AND v.epoch = i.epoch AND v."reportNo" < i.no`', replace: ' AND v.epoch = i.epoch`', by: 'store against Postgres' },
  { rule: 'fence: nothing after the end', file: 'libs/store/reports.ts', find: "`v.attempt = i.attempt AND v.status IN ('pending', 'generating') AND", replace: '`v.attempt = i.attempt AND', by: 'store against Postgres' },
  { rule: 'a claim commits its epoch', file: 'libs/store/reports.ts', find: 'SET epoch = b.epoch, "reportNo"', replace: 'SET epoch = v.epoch, "reportNo"', by: 'store against Postgres' },
  { rule: 'a claim below the row’s epoch is refused', file: 'libs/store/reports.ts', find: '(v.epoch < b.epoch OR (v.epoch = b.epoch AND v.session = ${session}))', replace: '(v.epoch <> b.epoch OR v.session = ${session})', by: 'store against Postgres' },
  { rule: 'one winner for an intent', file: 'libs/store/submissions.ts', find: 'if ((last?.send ?? 0) !== send - 1) return false', replace: 'if (last?.send === send) return true', by: 'store against Postgres' },
  { rule: 'a retry serialises on its attempt', file: 'libs/store/video-row.ts', find: 'if (attempt !== null && attempt !== video.attempt) throw', replace: 'if (attempt === -1) throw', by: 'store against Postgres' },
  { rule: 'one row per video per statement', file: 'services/status/apply-reports.ts', find: '(rounds[k] ??= []).push(report)', replace: '(rounds[k * 0] ??= []).push(report)', by: 'simulation' },
  { rule: 'an owner acts only while its session is trusted', file: 'libs/bus/lease.ts', find: 'return this.#o.clock.now() < this.#trustedUntil', replace: 'return true', by: 'simulation' },
  { rule: 'trust ends before a peer may declare death', file: 'libs/bus/lease.ts', find: 'renewalStartedAt + this.#o.ttlMs - this.#o.ttlMs / 6', replace: 'renewalStartedAt + this.#o.ttlMs * 1.5', by: 'simulation' },
  { rule: 'a session found lost drops everything', file: 'services/poller/poller.ts', find: '      host.dropAll()\n      claims.forget()', replace: '      claims.forget()', by: 'simulation' },
  { rule: 'death needs the beat to stand still', file: 'libs/bus/peers.ts', find: 'if (value.beat !== this.#live.get(id)?.beat) {', replace: 'if (value.beat < 0) {', by: 'simulation' },
  { rule: 'death needs the whole TTL', file: 'libs/bus/peers.ts', find: 'if (silentMs < ttlMs || !bus.isConnected()) continue', replace: 'if (silentMs < 0) continue', by: 'simulation' },
  { rule: 'no claim of a live peer’s video', file: 'libs/bus/lease.ts', find: 'if (!isFree) return null', replace: '', by: 'simulation' },
  { rule: 'claims are compare-and-set', file: 'libs/bus/ownership-records.ts', find: 'const expect = { sequence: Number(expected) }', replace: "const expect = key.startsWith('owner') ? undefined! : { sequence: Number(expected) }", by: 'simulation' },
  { rule: 'nobody claims in a new bucket for one TTL', file: 'libs/bus/lease.ts', find: 'generation > 1 ? ttlMs - ageMs : 0', replace: '0', by: 'rules by themselves' },
  { rule: 'no claim by a session of a lost bucket', file: 'libs/bus/lease.ts', find: 'generationIn(epoch) !== generationIn(this.#revision)', replace: 'epoch < 0n', by: 'rules by themselves' },
  { rule: 'one bid per video at a time', file: 'services/poller/claims.ts', find: 'if (running) return running', replace: '', by: 'simulation' },
  { rule: 'consent ends with the epoch it was given for', file: 'libs/bus/lease.ts', find: '(value.session === from?.session && revision === from.epoch)', replace: 'value.session === from?.session', by: 'rules by themselves' },
  { rule: 'what is given away is not polled any more', file: 'services/poller/host.ts', find: '      this.drop(id)\n      return { id, epoch', replace: '      return { id, epoch', by: 'simulation' },
  { rule: 'only the winner of the intent sends', file: 'services/submit/submit-video.ts', find: 'if (!(await store.intend(id, attempt, send, pins))) throw', replace: 'if (!(await store.intend(id, attempt, send, pins)) && send < 0) throw', by: 'rules by themselves' },
  { rule: 'nothing is sent after the send window', file: 'services/submit/submit-video.ts', find: 'if (clock.now() - begun > config.SEND_WINDOW_MS) {', replace: 'if (clock.now() < begun) {', by: 'rules by themselves' },
  { rule: 'what may have been accepted is looked up', file: 'services/submit/submit-video.ts', find: 'const finding = await lookUpSends(context, loaded)', replace: "const finding = { kind: 'clear' } as Awaited<ReturnType<typeof lookUpSends>>", by: 'simulation' },
  { rule: 'absence counts only after the whole window', file: 'services/submit/look-up.ts', find: "answer.kind === 'missing' && absences.counts(", replace: "answer.kind === 'missing' || absences.counts(", by: 'simulation' },
  { rule: 'the look-up window is the looking process’s own', file: 'services/submit/look-up.ts', find: 'if (isAbsent(context, submission, answer)) {', replace: "if (taskId === null && answer.kind === 'missing' && ageMs >= context.config.LOOKUP_WINDOW_MS) {", by: 'simulation' },
  { rule: 'a send that may have been accepted makes room for no other', file: 'libs/store/submissions.ts', find: 'if (last && !isNotAccepted(last.answer)) return false', replace: '', by: 'store against Postgres' },
  { rule: 'a send nobody can tell of is not repeated', file: 'services/submit/look-up.ts', find: "return isEarlier ? clear : { kind: 'unknown' }\n  }\n  if (!isAskable", replace: 'return clear\n  }\n  if (!isAskable', also: { file: 'libs/store/submissions.ts', find: "answer === 'absent' || answer === 'refused'", replace: "answer !== 'accepted'" }, by: 'simulation' },
  { rule: 'a retry takes what earlier attempts became', file: 'services/submit/look-up.ts', find: "if (taskId !== null && mayDeliver(answer)) {", replace: "if (taskId !== null && mayDeliver(answer) && isEarlier) return clear\n  if (taskId !== null && mayDeliver(answer)) {", by: 'simulation' },
  { rule: 'a lost answer is not taken for a refusal', file: 'services/submit/submit-video.ts', find: "    case 'unknown':\n", replace: "    case 'unknown':\n      await store.answered(id, attempt, send, 'later', answer.reason)\n", by: 'simulation' },
  { rule: 'an event is marked after it is published', file: 'libs/bus/outbox.ts', find: "  if (events.length) crashPoint('before-publish')", replace: '  await store.markPublished(events.map(({ timelineId }) => ({ timelineId, sequence: 1 })))', by: 'simulation' },
  { rule: 'an event is stored under its video’s last sequence', file: 'libs/bus/outbox.ts', find: '{ headers: eventHeaders(event), expect })', replace: '{ headers: eventHeaders(event) })', by: 'simulation' },
  { rule: 'nothing at or below the newest stored version is published', file: 'libs/bus/outbox.ts', find: 'if (last.version >= event.body.version) return last', replace: '', by: 'outbox' },
  { rule: 'what is known of the newest events is forgotten at a reconnect', file: 'libs/bus/outbox.ts', find: '    bus.onReconnect(() => this.#of.clear())\n', replace: '', by: 'outbox' },
  { rule: 'owed events are found again', file: 'services/status/status.ts', find: 'if (owed.length) await publishOwed(bus, outbox, owed)', replace: '', also: { file: 'services/reconciler/reconcile.ts', find: 'overdue.length ? await publishOwed(bus, outbox, overdue) : 0', replace: '0' }, by: 'simulation' },
  { rule: 'the reconciler finds what nobody owns', file: 'services/reconciler/reconcile.ts', find: '  await each(unowned, (id) => publishWork(bus, pollWorkSubject(id), { id }))', replace: '', also: { file: 'services/reconciler/reconcile.ts', find: '  const stale = await recovery.staleVideos(staleAfterMs)', replace: '  const stale: Awaited<ReturnType<typeof recovery.staleVideos>> = []' }, by: 'simulation' },
  { rule: 'the reconciler hands back what stopped', file: 'services/reconciler/reconcile.ts', find: '  await each(pending, (id) => publishWork(bus, submitWorkSubject(id), { id }))', replace: '', by: 'simulation' },
  { rule: 'after a restore a video is looked up before a send', file: 'services/submit/submit-video.ts', find: '  if (mayBeForgotten(loaded)) throw', replace: '  if (mayBeForgotten(loaded) && clock.now() < 0) throw', by: 'simulation' },
  { rule: 'after a restore earlier attempts are looked up, too', file: 'services/submit/submit-video.ts', find: 'if (video.restoredAt !== null && (await', replace: 'if (video.restoredAt !== null && video.attempt < 0 && (await', by: 'rules by themselves' },
  { rule: 'a claim written before a reconnect is made again', file: 'services/poller/claims.ts', find: ' || connection !== ownership.connection', replace: '', by: 'rules by themselves' },
  { rule: 'nobody claims for one TTL after its start', file: 'libs/bus/lease.ts', find: ': isVeryFirst ? ttlMs : 0', replace: ': ttlMs', by: 'rules by themselves' },
  { rule: 'what NATS has lost is owed again', file: 'services/status/status.ts', find: '    const videos = await oweWhatIsLost(bus, outbox)', replace: '    const videos = 0', by: 'simulation' },
  { rule: 'a gap brings along what was lost', file: 'libs/bus/outbox.ts', find: 'const lost = first.version > last.version + 1 ?', replace: 'const lost = first.version < 0 ?', by: 'simulation' },
  { rule: 'nothing is published when the stream has gone back', file: 'libs/bus/outbox.ts', find: 'if (now.version < last.version) throw', replace: 'if (now.version < 0) throw', by: 'outbox' },
  { rule: 'after a reconnect an owner audits its records', file: 'libs/bus/lease.ts', find: 'if (this.#isAudited) return true', replace: 'if (Number.isFinite(1)) return true', by: 'simulation' },
  { rule: 'nobody claims for one TTL after a reconnect', file: 'libs/bus/lease.ts', find: 'this.#claimsFrom = Math.max(this.#claimsFrom, clock.now() + this.#o.ttlMs)', replace: '', by: 'rules by themselves' },
  { rule: 'trust that had lapsed waits for one TTL after a reconnect', file: 'libs/bus/lease.ts', find: ' && !this.#mayBeTakenOver()', replace: '', by: 'rules by themselves' },
  { rule: 'revisions of a new bucket start above every epoch', file: 'libs/bus/topology.ts', find: 'first_seq: firstSequence(generation),', replace: '', by: 'broker against nats-server' },
  { rule: 'one message per video in a work queue', file: 'libs/bus/topology.ts', find: '      discard_new_per_subject: true,\n', replace: '', by: 'broker against nats-server' },
]
