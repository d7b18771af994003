/** What was paid for is kept, once, under the newest claim. */
import type { Mutation } from '../mutation.ts'

export const files: Mutation[] = [
  {
    rule: 'a file that may be recorded is not removed',
    find: "tries > 1 ? 'unsure' : 'late'",
    replace: "'late'",
    by: 'the archiver by itself',
  },
  {
    rule: 'a user has a quarter of the slots',
    find: 'Math.max(1, Math.floor(concurrency / 4))',
    replace: 'concurrency',
    by: 'files of two users',
  },
  {
    rule: 'a link is dead when it was to die, and not while a fresh one may come',
    find: 'untilExpiryMs <= 0 && !file.linkMayCome',
    replace: 'untilExpiryMs <= 0',
    by: 'simulation of files',
  },
  {
    rule: 'a link is dead when it was to die, and not while a fresh one may come',
    find: 'untilExpiryMs <= 0 && !file.linkMayCome',
    replace: '!file.linkMayCome',
    by: 'simulation of files',
  },
  {
    rule: 'what is in the store is not given up',
    find: '(await keepLeftover(file, parts)) ?? kept',
    replace: 'kept',
    by: 'simulation of files',
  },
  {
    rule: 'a store that hangs holds no file for good',
    find: 'await orCalledOff(signal, putHashed(files, key, body, signal))',
    replace: 'await putHashed(files, key, body, signal)',
    by: 'simulation of files',
  },
  {
    rule: 'a store that is away says nothing of a file',
    find: 'storeFailed = err',
    replace: '',
    by: 'simulation of files',
  },
  {
    rule: 'a link that dies is not waited for beyond its death',
    find: 'untilExpiryMs > 0 ? Math.max(1_000, Math.min(delayMs, untilExpiryMs / 4)) : delayMs',
    replace: 'delayMs',
    by: 'the archiver by itself',
  },
  {
    rule: 'what the store failed at says nothing of the link',
    find: 'err instanceof DownloadFailed || err instanceof NotAVideo',
    replace: 'true',
    by: 'the archiver by itself',
  },
  {
    rule: 'a stored file is recorded as often as it takes',
    find: 'if (called.aborted) throw err',
    replace: 'throw err',
    by: 'the archiver by itself',
  },
  {
    rule: 'those whose links die soonest first',
    find: 'ORDER BY r."expiresAt", r."videoId" LIMIT ${most}::int',
    replace: 'ORDER BY r."videoId" LIMIT ${most}::int',
    by: 'files',
  },
  {
    rule: 'a claim that is held is given to nobody else',
    find: `AND coalesce("claimedUntil", '-infinity') < now()`,
    replace: '',
    also: { find: `AND coalesce(f."claimedUntil", '-infinity') < now()`, replace: '' },
    by: 'store against Postgres',
  },
  {
    rule: 'a failed file waits for its next try',
    find: `"nextTryAt" = now() + `,
    replace: `"nextTryAt" = "nextTryAt" + 0 * `,
    by: 'store against Postgres',
  },
  {
    rule: 'only the newest claim records a file',
    find: 'AND claim = ${claim}::int',
    replace: 'AND claim >= ${claim}::int',
    by: 'files',
  },
  {
    rule: 'a fetch whose claim is lost is called off',
    find: 'if (!still.has(id))',
    replace: 'if (!still.has(id) && held.length < 0)',
    by: 'files',
  },
  {
    rule: 'no picture costs a file',
    find: 'if (file.wasAbandoned || file.untilExpiryMs < leastLinkMs)',
    replace: 'if (file.wasAbandoned && file.untilExpiryMs < leastLinkMs)',
    by: 'the archiver by itself',
  },
  {
    rule: 'a file that waits for its next try is looked for often',
    find: ' || this.#isWaiting',
    replace: '',
    by: 'the archiver by itself',
  },
  {
    rule: 'a key goes to its own hosts only',
    find: 'if (!keyedHosts || !origins.includes(origin)) return {}',
    replace: 'if (!keyedHosts) return {}',
    by: 'files',
  },
  {
    rule: 'a key is dropped on another host',
    find: 'url.origin === first.origin',
    replace: 'url.origin.length > 0',
    by: 'files',
  },
  {
    rule: 'what is to be kept is not deleted',
    find: 'WHERE NOT keep AND (old OR',
    replace: 'WHERE (old OR',
    also: { find: 'AND NOT f.keep ORDER BY', replace: 'ORDER BY' },
    by: 'retention',
  },
  {
    rule: 'an upload is given to nobody but who has a link that is still good',
    find: 'if (!upload || !isSigned(upload, request.query, unixMs() / 1_000))',
    replace: 'if (!upload)',
    by: 'uploads',
  },
  {
    rule: 'a user uses no upload of another one',
    find: "where: { id: { in: [...ids] }, userId, state: 'stored' }",
    replace: "where: { id: { in: [...ids] }, state: 'stored' }",
    by: 'uploads',
  },
]
