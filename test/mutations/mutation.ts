/**
 * Every rule that keeps a law, and how to switch it off. The source carries the mark `// rule:
 * <rule>` above the statement; `find` is a piece of what follows the mark (white space and trailing
 * commas do not count), `replace` stands there instead. `by` finds the broken law.
 */
export type Finder =
  | 'providers'
  | 'names by themselves'
  | 'turns by themselves'
  | 'the host by itself'
  | 'simulation'
  | 'store against Postgres'
  | 'broker against nats-server'
  | 'outbox'
  | 'rules of the store'
  | 'moves together'
  | 'the gateway by itself'
  | 'task of one video'
  | 'small pools'
  | 'late commands'
  | 'budgets'
  | 'charges'
  | 'callbacks'
  | 'versions'
  | 'last published'
  | 'rules by themselves'
  | 'decisions'
  | 'submit by itself'
  | 'status by itself'
  | 'the reconciler by itself'
  | 'sessions by themselves'
  | 'lists by themselves'
  | 'schedules'
  | 'the clock by itself'
  | 'files'
  | 'the directory by itself'
  | 'the archiver by itself'
  | 'uploads'
  | 'retention'
  | 'key rotation'

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
