/**
 * Asks a provider to stop a task that somebody cancelled, so that it may not be charged. Asked
 * once, and waited for no longer than a person would: whatever comes of it, the video ends. Where a
 * provider stops only what waits, and a call too late does harm, nothing else is asked to stop.
 */
import type { CancelAnswer } from '#libs/provider/provider.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Hosted } from './hosted.ts'

const patienceMs = 2_000

type Cancelled = Pick<Hosted, 'id' | 'taskId' | 'account' | 'saidLast'>

export async function askToCancel(
  { id, taskId, account, saidLast }: Cancelled,
  { clock, log, isLeaseValid }: { clock: Clock; log: Logger; isLeaseValid(): boolean },
): Promise<CancelAnswer['kind'] | 'not_asked'> {
  const { provider } = account
  // rule: what runs is not asked to stop where only what waits can be
  if (!provider?.can.cancel || (provider.can.cancel === 'queued' && saidLast !== 'queued'))
    return 'not_asked'
  const late = new AbortController()
  const control = { signal: late.signal, mayWrite: isLeaseValid }
  const answer = await Promise.race([
    provider.cancel(account, taskId, control).catch((err: Error) => none(err.message)),
    sleep(patienceMs, undefined, clock).then(() => none('no answer in time')),
  ])
  late.abort()
  log.info({ video: id, taskId, answer }, 'The provider was asked to cancel')
  return answer.kind
}

const none = (reason: string): CancelAnswer => ({ kind: 'none', reason })
