import type { MemoryStore } from './memory-store.ts'

/** A statement of the store. */
export type Statement = {
  [Name in keyof MemoryStore]: MemoryStore[Name] extends (...args: never[]) => Promise<unknown>
    ? Name
    : never
}[keyof MemoryStore]

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
