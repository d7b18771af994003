import type { Mutation } from '../mutation.ts'

const by = 'the gateway by itself'
export const gateway: Mutation[] = [
  {
    rule: 'a request that waits for long holds up no other one of its user',
    find: 'this.#clock.after(bounds.patienceMs, leave)',
    replace: '() => {}',
    by,
  },
  {
    rule: "each piece of a file waits for its user's turn",
    find: 'const leave = await turns.next(userId)',
    replace: 'const leave = () => void turns',
    by,
  },
  {
    rule: 'an upload keeps a turn of its user until the store has all of it',
    find: 'leave = await storeTurns.next(userId)',
    replace: 'leave = () => {}',
    by,
  },
  {
    rule: 'a token is worth no more than what it was made with',
    find: 'Math.min(issuedAt + seconds, until ?? Infinity)',
    replace: 'issuedAt + seconds',
    by,
  },
]
