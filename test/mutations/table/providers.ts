/** What is asked of providers, and what their answers mean. */
import type { Mutation } from '../mutation.ts'

export const providers: Mutation[] = [
  {
    rule: 'a silent name holds up no other provider’s',
    find: 'byDns(hostname, asked, (err',
    replace: 'byThread(hostname, asked, (err',
    by: 'names by themselves',
  },
  {
    rule: 'a large answer waits for its turn',
    find: 'if (!this.#leave) controller.pause()',
    replace: 'if (!this.#leave) void controller',
    also: { find: 'total: 1, share: 1', replace: 'total: 1_000, share: 1_000' },
    by: 'providers',
  },
  {
    rule: 'a retry waits one window for the link of what is done',
    find: "answer.kind === 'unusable' && requestedMs < context.config.LOOKUP_WINDOW_MS",
    replace: "answer.kind === 'unusable' && requestedMs < 0",
    by: 'submit by itself',
  },
  {
    rule: 'whoever was given a create waits for nobody behind it',
    find: 'Promise.race([given, this.#take()])',
    replace: 'this.#take()',
    by: 'submit by itself',
  },
  {
    rule: 'a circuit is judged by the creates of all submits',
    find: 'told.outcomes',
    replace: '[]',
    by: 'submit by itself',
  },
  {
    rule: 'an account in use is said to be, once a day',
    find: '- known.toldAt < toldForMs',
    replace: '> 0',
    by: 'submit by itself',
  },
  {
    rule: 'no key is told',
    find: 'told = told.replace(patterns.plain, blank)',
    replace: 'void patterns.plain',
    by: 'providers',
  },
  {
    rule: 'no escaped key is told',
    find: 'told = blankEscaped(told, patterns)',
    replace: 'told = `${told}`',
    by: 'providers',
  },
  {
    rule: 'no key is told in the address of a redirect',
    find: 'blankSecrets(location.toString(), secrets)',
    replace: 'location.toString()',
    by: 'providers',
  },
  {
    rule: 'what has no mark is not taken for somebody else’s',
    find: 'told.length > 0 || !listing.mayLackMark',
    replace: 'told.length >= 0',
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
    find: 'isListed(dialect.missingCodes, said.code)',
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
    rule: 'a short page is not the end of a list',
    find: 'at(answer, items).length === 0 ?',
    replace: 'at(answer, items).length < 2 ?',
    by: 'providers',
  },
  {
    rule: 'an answer without a list proves no absence',
    find: '!isTold(answer, listing.items)',
    replace: 'false',
    by: 'providers',
  },
  {
    rule: 'a prompt that was cut is not taken for somebody else’s',
    find: 'one.startsWith(other) || other.startsWith(one) ? null : false',
    replace: 'false',
    by: 'providers',
  },
  {
    rule: 'a task is taken from a list only when it alone fits',
    find: 'same.length === 1 && ',
    replace: 'same.length > 0 && ',
    by: 'providers',
  },
  {
    rule: 'an answer is about what was asked',
    find: 'if (isOther)',
    replace: 'if (isOther && about.status > 999)',
    by: 'providers',
  },
  {
    rule: 'a reseller is not asked for a lost create unless that is switched on',
    find: 'isAmong(recoveryHosts, baseUrl) ? can : { findByOwnId: false, cancel: can.cancel }',
    replace: 'can',
    by: 'providers',
  },
  {
    rule: 'a useless query of many is not repeated',
    find: 'withoutMany.add(account.baseUrl)',
    replace: 'withoutMany.has(account.baseUrl)',
    by: 'providers',
  },
  {
    rule: 'an answer that was given twice is not taken for the next create’s',
    find: 'this.#isOf(ownId, `${baseUrl}\\n${answer.taskId}`)',
    replace: 'this.#isOf(ownId, ownId)',
    by: 'providers',
  },
]
