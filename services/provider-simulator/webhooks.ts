/**
 * Ends, told at least once to whoever wants them: a task's own callback URL, or the one that is set
 * for all. Retried after 10 s, 30 s, 2 m, 10 m.
 */
import { dialects } from './dialects/index.ts'
import type { Ledger, Task } from './ledger.ts'
import { viewOf } from './world.ts'

const lookMs = 50
/** While no task is to be told of. */
const idleMs = 250
const waits = [0, 10_000, 30_000, 120_000, 600_000]

export function startWebhooks(
  ledger: Ledger,
  now: () => number,
  url: () => string,
): { stop(): Promise<void> } {
  /** By task: no delivery waits for another task's. */
  const telling = new Map<string, Promise<void>>()
  const tell = (): boolean => {
    const { webhookUrl, webhookSecret } = ledger.settings
    const ofAll = webhookUrl !== null && webhookSecret !== null
    const due = ledger.toTell(now(), waits.length, ofAll).filter((task) => {
      if (telling.has(task.taskId)) return false
      const ended = task.cancelledAt ?? task.endsAt
      return ended + waits.slice(0, task.webhookAttempts + 1).reduce((a, b) => a + b, 0) <= now()
    })
    for (const task of due) {
      const to = task.callbackUrl ?? webhookUrl ?? ''
      const told = deliver(to, webhookSecret, task)
        .catch(() => false)
        .then((isTold) => {
          ledger.told(task.taskId, isTold ? waits.length : task.webhookAttempts + 1)
          telling.delete(task.taskId)
        })
      telling.set(task.taskId, told)
    }
    return due.length > 0 || ledger.mayTell(waits.length, ofAll)
  }
  const deliver = async (to: string, secret: string | null, task: Task): Promise<boolean> => {
    const view = viewOf(task, { ledger, now, url: url() })
    const delivery = dialects.get(task.provider)?.webhook?.(view, secret, now(), to)
    if (!delivery) return true
    const { headers, body } = delivery
    return fetch(to, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    }).then(
      (response) => response.ok,
      () => false,
    )
  }
  let timer = setTimeout(look, 0)
  function look() {
    timer = setTimeout(look, tell() ? lookMs : idleMs)
  }
  return {
    async stop() {
      clearTimeout(timer)
      await Promise.all(telling.values())
    },
  }
}
