/** What Google's two services have in common: errors, pictures as data, and words of its policy. */
import type { Dialect } from '../edge/dialect.ts'
import { namesPolicy } from './policy.ts'

/** gRPC's names in errors, its numbers in tasks. */
export const googleErrors = {
  error: { code: ['error.status', 'error.code'], message: ['error.message'] },
  codes: { unauthenticated: 'bad_key', failed_precondition: 'invalid_request' },
  codeOf: (code, text) => {
    if (code === 'invalid_argument' || code === '3')
      return namesPolicy(text) || /usage guidelines/i.test(text)
        ? 'content_policy'
        : 'invalid_request'
    if (code === 'permission_denied' || code === '7')
      return /billing/i.test(text) ? 'insufficient_balance' : 'bad_key'
    return undefined
  },
  statuses: {},
  laterCodes: ['resource_exhausted'],
  missingCodes: ['not_found'],
} satisfies Partial<Dialect>

export const takesNoAddress = {
  refused: 'it takes pictures as data (data:image/png;base64,…), not by their address',
}
