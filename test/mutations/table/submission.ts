/** One attempt is paid once, and ends. */
import type { Mutation } from '../mutation.ts'

export const submission: Mutation[] = [
  {
    rule: 'what waits for long is tried seldom',
    find: 'Math.max(ms, this.#loaded.requestedMs / 2)',
    replace: 'Math.max(ms, 0)',
    by: 'submit by itself',
  },
  {
    rule: 'users take turns before anything is read',
    find: 'await turns.run(userId, () => store.load(id))',
    replace: 'await store.load(id)',
    by: 'submit by itself',
  },
  {
    rule: 'an outage is no failure of a video',
    find: 'if (isOutage(err) && !isLockFault(err))',
    replace: 'if (this.#failures.size < 0)',
    by: 'submit by itself',
  },
  {
    rule: 'an accepted video is queued for the pollers until one has it',
    find: 'if (due.taskId !== null) return this.take(due)',
    replace: 'if (due.taskId !== null) return',
    by: 'schedules',
  },
  {
    rule: 'no user has all connections',
    find: "asking.getStore() ?? ''",
    replace: "''",
    by: 'small pools',
  },
  {
    rule: 'a full pool is waited for',
    find: 'connectionTimeoutMillis: 0,',
    replace: 'connectionTimeoutMillis: connectMs,',
    by: 'small pools',
  },
  {
    rule: 'a decision is written only to the row it was taken from, together',
    find: 'WHERE v.xmin = i.revision::xid ORDER',
    replace: 'WHERE i.revision IS NOT NULL ORDER',
    by: 'moves together',
  },
  {
    rule: 'a query without an end is given up',
    find: 'open.giveUp()',
    replace: '',
    by: 'the host by itself',
  },
  {
    rule: 'an open circuit sends nothing but one create that is tried',
    find: 'if (!state?.isOpen) return free',
    replace: 'return free',
    by: 'submit by itself',
  },
  {
    rule: 'a video that fails for itself opens no circuit',
    find: '&& video !== outcome.video',
    replace: '',
    by: 'submit by itself',
  },
  {
    rule: 'a refusal is no failure of the account',
    find: "answer.kind === 'unknown' ||",
    replace: "answer.kind === 'unknown' || answer.kind === 'refused' ||",
    by: 'submit by itself',
  },
  {
    rule: 'users take turns at the limits of an account',
    find: 'if (places.size > 0) this.#users.set(userId, places)',
    replace: 'if (places.size > 0) this.#users = new Map([[userId, places], ...this.#users])',
    by: 'submit by itself',
  },
  {
    rule: 'a run that takes long counts against its own key only',
    find: 'this.#counting.delete(slot)',
    replace: '',
    by: 'the host by itself',
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
    rule: 'only the winner of the intent sends',
    find: 'if (intended === null) return',
    replace: 'if (intended === undefined) return',
    by: 'submit by itself',
  },
  {
    rule: 'nothing is sent after the send window',
    find: 'if (!this.#mayWrite()) {',
    replace: 'if (!this.#mayWrite() && video.attempt < 0) {',
    by: 'submit by itself',
  },
  {
    rule: 'what may have been accepted is looked up',
    find: "{ guard: 'isToLookUp', target:",
    replace: "{ guard: 'hadAllSends', target:",
    by: 'decisions',
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
    find: "return isEarlier ? null : { type: 'LOST', reason }",
    replace: 'return null',
    also: { find: "answer === 'absent' || answer === 'refused'", replace: "answer !== 'accepted'" },
    by: 'simulation',
  },
  {
    rule: 'a retry takes what earlier attempts became',
    find: 'if (taskId !== null && mayDeliver(answer)) {',
    replace:
      'if (taskId !== null && mayDeliver(answer) && isEarlier) return null\n  if (taskId !== null && mayDeliver(answer)) {',
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
    rule: 'deadlines and cancels of pending videos wait for nothing',
    find: 'await eachLimited(due, endedAtOnce, (one) => this.#onDue(one))',
    replace: 'for (const one of due) this.take(one.id)',
    by: 'submit by itself',
  },
  {
    rule: 'a further send keeps the first one’s pins',
    find: 'pinnedAccountOf(context, loaded, last)',
    replace: 'pinnedAccountOf(context, loaded)',
    by: 'submit by itself',
  },
  {
    rule: 'a key goes to the provider it was given for',
    find: ' && own.provider === provider',
    replace: '',
    by: 'submit by itself',
  },
  {
    rule: 'a create is repeated only while its key holds',
    find: ' && ageMs < repeatMs / 2',
    replace: '',
    by: 'submit by itself',
  },
  {
    rule: 'a task that may be somebody else’s is not taken',
    find: 'if (doubt && ageMs >= patienceMs)',
    replace: 'if (doubt && ageMs < 0)',
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
    find: 'if (intentMayBeLost(this.#loaded)) return',
    replace: 'if (intentMayBeLost(this.#loaded) && this.#begun < 0) return',
    by: 'simulation',
  },
  {
    rule: 'after a restore earlier attempts are looked up, too',
    find: 'if (video.restoredAt !== null && (await',
    replace: 'if (video.restoredAt !== null && video.attempt < 0 && (await',
    by: 'submit by itself',
  },
]
