/** Which reports and claims change a row. */
import type { Mutation } from '../mutation.ts'

export const reports: Mutation[] = [
  {
    rule: 'fence: the attempt',
    find: '`v.attempt = i.attempt AND v.status IN',
    replace: '`v.status IN',
    by: 'store against Postgres',
  },
  {
    rule: 'fence: the epoch',
    find: '\'generating\') AND v.epoch = i.epoch AND v."reportNo" < i.no`',
    replace: '\'generating\') AND (v.epoch, v."reportNo") < (i.epoch, i.no)`',
    by: 'store against Postgres',
  },
  {
    rule: 'fence: the report number',
    find: ' AND v.epoch = i.epoch AND v."reportNo" < i.no`',
    replace: ' AND v.epoch = i.epoch`',
    by: 'store against Postgres',
  },
  {
    rule: 'fence: nothing after the end',
    find: "`v.attempt = i.attempt AND v.status IN ('pending', 'generating') AND",
    replace: '`v.attempt = i.attempt AND',
    by: 'store against Postgres',
  },
  {
    rule: 'one locked row is put aside alone',
    find: 'FOR NO KEY UPDATE SKIP LOCKED) v',
    replace: 'FOR NO KEY UPDATE) v',
    by: 'rules of the store',
  },
  {
    rule: 'one report that does not fit is buried alone',
    find: 'await deadLetter(options, letter, reason)',
    replace: 'await deadLetter(options, job, reason)',
    by: 'status by itself',
  },
  {
    rule: 'a claim commits its epoch',
    find: 'SET epoch = b.epoch, "reportNo"',
    replace: 'SET epoch = v.epoch, "reportNo"',
    by: 'store against Postgres',
  },
  {
    rule: 'a claim below the row’s epoch is refused',
    find: '(v.epoch < b.epoch OR (v.epoch = b.epoch AND v.session = ${session}))',
    replace: '(v.epoch <> b.epoch OR v.session = ${session})',
    by: 'rules of the store',
  },
  {
    rule: 'one row per video per statement',
    find: '(rounds[k] ??= []).push(report)',
    replace: '(rounds[k * 0] ??= []).push(report)',
    by: 'simulation',
  },
]
