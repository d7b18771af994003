/** What an answer to a cancel means. It is a request like any other: no answer says nothing. */
import { redact } from '#libs/net/redact.ts'
import type { CancelAnswer } from '../provider.ts'
import type { Dialect } from './dialect.ts'
import type { Sent } from './exchange.ts'
import { parseJson } from './fields.ts'
import { isLater, isMissing, saidBy, waitOf } from './refusal.ts'

export function readCancel(dialect: Dialect, sent: Sent): CancelAnswer {
  if (sent.kind !== 'answered') return { kind: 'none', reason: sent.reason }
  const { status, text } = sent
  const said = saidBy(dialect, parseJson(text))
  const isOk = status >= 200 && status < 300
  if (isLater(dialect, status, said))
    return { kind: 'later', retryAfterMs: waitOf(dialect, sent, said) }
  if (isOk && said.code === '') return { kind: 'cancelled' }
  const reason = redact(`${status} ${said.message ?? said.code}`.trim(), [], 300)
  const isTooLate =
    dialect.cancel?.tooLateCodes?.includes(said.code) ||
    isMissing(dialect, status, said) ||
    [400, 404, 409, 410].includes(status)
  return isTooLate ? { kind: 'too_late', reason } : { kind: 'none', reason }
}
