import type { MemoryFiles } from './memory-files.ts'
import type { MemoryStore } from './memory-store.ts'

type StatementOf<Store> = {
  [Name in keyof Store]: Store[Name] extends (...args: never[]) => Promise<unknown> ? Name : never
}[keyof Store]

/** A statement of the store, or a file that was put. */
export type Statement = StatementOf<MemoryStore> | StatementOf<MemoryFiles> | 'put'

/** Statements after which a process is struck down or frozen. */
export const strikePoints: Statement[] = [
  'acceptRequest',
  'intend',
  'intend',
  'recordAcceptance',
  'recordAcceptance',
  'answered',
  'failPending',
  'recordWait',
  'takeDue',
  'cancel',
  'retry',
  'commitClaims',
  'apply',
  'owed',
  'markPublished',
]

/** The same of archivers. */
export const fileStrikePoints: Statement[] = [
  'claim',
  'put',
  'put',
  'stored',
  'stored',
  'failed',
  'lost',
  'renewed',
  'adopt',
  'markPublished',
]
