/**
 * Final states, told at least once, signed `v1=<hex HMAC-SHA256 of id.timestamp.body>`. Retried
 * after 10 s, 30 s, 2 m, 10 m.
 */
import { createHmac } from 'node:crypto'
import type { Ledger, Task } from './ledger.ts'

const waits = [0, 10_000, 30_000, 120_000, 600_000]

export function startWebhooks(
  ledger: Ledger,
  now: () => number,
  present: (task: Task) => Record<string, unknown>,
): { stop(): Promise<void> } {
  let telling: Promise<void> = Promise.resolve()
  const tell = async () => {
    const { webhookUrl, webhookSecret } = ledger.settings
    if (!webhookUrl || !webhookSecret) return
    for (const task of ledger.toTell(now(), waits.length)) {
      const due = task.endsAt + waits.slice(0, task.webhookAttempts + 1).reduce((a, b) => a + b, 0)
      if (due > now()) continue
      ledger.told(
        task.taskId,
        (await deliver(webhookUrl, webhookSecret, task)) ? waits.length : task.webhookAttempts + 1,
      )
    }
  }
  const deliver = async (url: string, secret: string, task: Task): Promise<boolean> => {
    const id = `wh_${task.taskId}`
    const at = Math.floor(now() / 1000)
    const data = {
      task_id: task.taskId,
      client_business_id: task.ownId,
      task_type: 'video',
      ...present(task),
      submitted_at: Math.floor(task.createdAt / 1000),
      finished_at: Math.floor(task.endsAt / 1000),
    }
    const body = JSON.stringify({
      id,
      type: `generation.${task.outcome}`,
      api_version: '2026-01-01',
      created_at: at,
      data,
    })
    const signature = createHmac('sha256', secret).update(`${id}.${at}.${body}`).digest('hex')
    const headers = {
      'content-type': 'application/json',
      'X-ToAPIs-Webhook-Id': id,
      'X-ToAPIs-Webhook-Timestamp': String(at),
      'X-ToAPIs-Webhook-Signature': `v1=${signature}`,
    }
    return fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(5_000) }).then(
      (response) => response.ok,
      () => false,
    )
  }
  const timer = setInterval(() => (telling = telling.then(tell).catch(() => {})), 500)
  return {
    async stop() {
      clearInterval(timer)
      await telling
    },
  }
}
