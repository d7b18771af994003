/** Users' budgets. */
import type { Mutation } from '../mutation.ts'

export const money: Mutation[] = [
  {
    rule: 'what would exceed a budget is not made',
    find: 'if (charged === 0)',
    replace: 'if (charged < 0)',
    by: 'charges',
  },
  {
    rule: 'those who wait for one user’s budget leave connections to others',
    find: '({ charge }) => (charge ? commands : turns)',
    replace: '() => turns',
    by: 'budgets',
  },
]
