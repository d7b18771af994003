/**
 * Why a command cannot be carried out. The codes are stable; what HTTP answers to each is the
 * gateway's.
 */
export const refusalCodes = [
  'not_found',
  'not_current_attempt',
  'already_terminal',
  'not_failed',
  'idempotency_key_in_use',
  'idempotency_key_reused',
  'api_key_required',
  'invalid_request',
  'not_ended',
  'not_archived',
  'archived',
  'not_awaited',
  'budget_exceeded',
] as const
export type RefusalCode = (typeof refusalCodes)[number]

/** A command that cannot be carried out; nothing was changed. */
export class Refused extends Error {
  readonly code: RefusalCode
  constructor(code: RefusalCode, detail: string) {
    super(detail)
    this.code = code
  }
}

/** Whether the same command, sent again, may be carried out. */
export const isForNow = (code: string): boolean =>
  code === 'not_awaited' || code === 'idempotency_key_in_use'

export const notAwaited = (): Refused => new Refused('not_awaited', 'It came too late.')
