/** A poller's host in a world of its own, with what it may be granted. */
import type { Bus } from '#libs/bus/bus.ts'
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import type { Grant, Report } from '#libs/scene-video/messages.ts'
import { Budget } from '#libs/provider/query-budget.ts'
import { Host } from '#services/poller/host.ts'
import { Process, type World } from '../simulation/world.ts'

export const key: Keyring = [Buffer.alloc(32, 1)]
export const id = '01a20dfc-26a3-7015-b732-000000000001'
export const grant: Grant = {
  id,
  epoch: '7',
  attempt: 1,
  userId: 'u',
  status: 'pending',
  phase: 'submitted',
  progress: null,
  provider: 'toapis',
  model: 'm',
  taskId: 't',
  baseUrl: 'http://127.0.0.1:1/v1',
  keyCipher: encrypt('sk-x', key),
  reportNo: 0,
  cancelRequested: false,
  sinceSubmittedMs: 0,
  sinceSignOfLifeMs: 0,
  untilDeadlineMs: null,
}

/**
 * A host in a world of its own; the provider answers what `answer` says, reports are stored when
 * `store` allows it.
 */
export function hostIn(
  world: World,
  answer: () => TaskAnswer | Promise<TaskAnswer>,
  store: () => Promise<number> = async () => 1,
  concurrency = 10,
  perSecond = 1_000,
  atOnce = 1,
) {
  const { clock } = new Process(world, 'poller')
  const reports: Report[] = []
  const queries: string[][] = []
  let polls = 0
  const bus = {
    store: (_: string, data: string) => (reports.push(...(JSON.parse(data) as Report[])), store()),
  } as unknown as Bus
  const provider = {
    name: 'toapis',
    can: { findByOwnId: true, cancel: false },
    expectedMs: 600_000,
    resultLifeMs: 86_400_000,
    mostAtOnce: () => atOnce,
    get: async (_: unknown, taskId: string) => ({
      answer: await (polls++, queries.push([taskId]), answer()),
      taskId: 't',
      rateLimit: null,
    }),
    getMany: async (_: unknown, taskIds: string[]) => ({
      answers: (queries.push(taskIds), taskIds.map(() => (polls++, answer()))),
      rateLimit: null,
    }),
  } as unknown as Provider
  const host = new Host({
    bus,
    clock,
    providers: { of: () => provider },
    concurrency,
    queryTimeoutMs: 600_000,
    log: createLogger('test', 'silent'),
    budget: new Budget(clock, { perSecond, burst: perSecond }, () => 1),
    intervalMs: 5_000,
    keyEncryptionKey: key,
    isLeaseValid: () => true,
    onEnded: () => {},
    polls: { inc: () => {} },
  })
  return { host, reports, queries, polls: () => polls }
}
