/** What the client throws, in the port's words. */
import { ErrorCode, NatsError } from 'nats'
import { StoreRefused } from './replies.ts'
import { AlreadyQueued, BusUnavailable, Conflict } from './bus.ts'

/** JetStream's numbers for what a caller has to tell apart. */
const conflictCodes = new Set([10071, 10164])
const alreadyQueuedCode = 10077
const noMessageCode = 10037
const unavailable = new Set<string>([
  ErrorCode.NoResponders,
  ErrorCode.Timeout,
  ErrorCode.ConnectionClosed,
  ErrorCode.ConnectionDraining,
  ErrorCode.Disconnect,
  ErrorCode.ConnectionTimeout,
  ErrorCode.JetStream408RequestTimeout,
])
const apiCode = (err: unknown): number =>
  err instanceof StoreRefused
    ? err.code
    : err instanceof NatsError
      ? (err.api_error?.err_code ?? 0)
      : 0

/** The port's word for what the client threw. */
export function translated(err: unknown, what: string): unknown {
  if (conflictCodes.has(apiCode(err))) return new Conflict(what)
  if (apiCode(err) === alreadyQueuedCode) return new AlreadyQueued(what)
  if (err instanceof NatsError && unavailable.has(err.code))
    return new BusUnavailable(`no answer on ${what}: ${err.code}`)
  return err
}

/** The same of what was to be stored. A stream that could not be written is not written again. */
export const notStored = (err: unknown, what: string): unknown =>
  err instanceof NatsError && err.code === (ErrorCode.Timeout as string)
    ? new BusUnavailable(
        `NATS stores nothing on ${what}: where its disk was full, it has to be restarted`,
      )
    : translated(err, what)

/** Whether it says that a stream holds nothing there. */
export const isNoMessage = (err: unknown): boolean => apiCode(err) === noMessageCode
