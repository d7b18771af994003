/** What was paid for is kept, once, under the newest claim. */
import type { Mutation } from '../mutation.ts'

export const files: Mutation[] = [
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
    find: 'if (file.wasAbandoned || (file.untilExpiryMs ?? Infinity) < leastLinkMs)',
    replace: 'if (file.wasAbandoned && (file.untilExpiryMs ?? Infinity) < leastLinkMs)',
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
