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
]
