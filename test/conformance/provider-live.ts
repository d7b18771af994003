/**
 * Each declaration against the simulator that is served under its name: create, poll, complete,
 * refuse, throttle, a lost answer and its recovery. The ledger tells what was charged.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readConfig } from '#libs/runtime/config.ts'
import type { Provider } from '#libs/provider/provider.ts'
import { simulatorSettings } from '#services/provider-simulator/config.ts'
import { startSimulator } from '#services/provider-simulator/service.ts'
import { defaults } from '#services/provider-simulator/settings.ts'
import type { Subject } from './provider-bench.ts'

interface Row {
  provider: string
  client_business_id: string | null
  task_id: string
  status: string
}
interface LiveBench {
  provider: Provider
  account(): { baseUrl: string; apiKey: string }
  request(prompt?: string): { ownId: string; model: string; prompt: string }
  unsaid: readonly string[]
  set(patch: object): Promise<void>
  ledger(): Promise<Row[]>
}

const quick = { ...defaults, tier: 'off', minSeconds: 0.5, maxSeconds: 0.5 }
let count = 0

export function againstTheSimulator(subjects: readonly Subject[]): void {
  let url = ''
  const put = async (patch: object) => {
    const body = JSON.stringify(patch)
    expect((await fetch(`${url}/settings`, { method: 'PUT', body })).status).toBe(200)
  }
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), 'simulator-'))
    const env = { SIMULATOR_PORT: '0', SIMULATOR_DATA: dir, LOG_LEVEL: 'silent' }
    const simulator = await startSimulator(readConfig(simulatorSettings, env))
    url = simulator.url
    return async () => {
      await simulator[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true })
    }
  })
  beforeEach(() => put(quick))
  describe.each(subjects.map((subject) => [subject.name, subject] as const))(
    '%s against the simulator',
    (name, subject) => {
      const provider = subject.make({ createTimeoutMs: 15_000, getTimeoutMs: 15_000 })
      afterAll(() => provider[Symbol.asyncDispose]())
      const { model = 'm', apiKey = 'sk-secret-of-the-test' } = subject
      courseOf({
        provider,
        account: () => ({ baseUrl: `${url}/${subject.dialect.name}`, apiKey }),
        request: (prompt = 'p') => ({ ownId: `${name}-${++count}`, model, prompt }),
        unsaid: subject.unsaid ?? [],
        set: put,
        async ledger() {
          const { tasks } = (await (await fetch(`${url}/ledger`)).json()) as { tasks: Row[] }
          return tasks.filter((task) => task.provider === subject.dialect.name)
        },
      })
    },
  )
}

function courseOf(bench: LiveBench): void {
  const { provider, account, request, set, ledger, unsaid } = bench
  const start = async (prompt?: string) => {
    const answer = await provider.create(account(), request(prompt))
    if (answer.kind !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(answer)}`)
    return answer.taskId
  }
  const get = async (id: string) => (await provider.get(account(), id)).answer
  recoveryOf(bench)

  it.each([
    ['p', { kind: 'done', videoUrl: expect.stringMatching(/^http/) }],
    ['p [fail]', { kind: 'failed', error: { code: 'provider_failed' } }],
    ['p [blocked]', { kind: 'failed' }],
  ])('brings a task to its end: %s', async (prompt, end) => {
    const id = await start(prompt)
    await expect.poll(() => get(id), { timeout: 10_000 }).toMatchObject(end)
  })

  it('sees a task at work', async () => {
    await set({ minSeconds: 3_600, maxSeconds: 3_600 })
    expect((await get(await start())).kind).toBe('working')
  })

  it('is refused before anything is charged', async () => {
    const before = (await ledger()).length
    for (const [kind, code] of [
      ['policy', 'content_policy'],
      ['balance', 'insufficient_balance'],
    ] as const) {
      const answer = await provider.create(account(), request(`p [${kind}]`))
      if (unsaid.includes(kind)) expect(answer.kind).toMatch(/^(refused|later)$/)
      else expect(answer).toMatchObject({ kind: 'refused', error: { code } })
    }
    expect(await ledger()).toHaveLength(before)
  })

  it('waits as long as it is asked to, and by its own limits', async () => {
    await set({ faults: { status429: 1 }, retryAfterSeconds: 7 })
    const later = { kind: 'later', retryAfterMs: 7_000 }
    expect(await provider.create(account(), request())).toMatchObject(later)
    await set({ faults: { status429: 0 }, maxParallel: 1, minSeconds: 60, maxSeconds: 60 })
    const other = { ...account(), apiKey: account().apiKey }
    const answers = [
      await provider.create(other, request()),
      await provider.create(other, request()),
    ]
    expect(answers.at(-1)).toMatchObject({ kind: 'later' })
  })

  it('cancels a task where it can', async () => {
    if (provider.can.cancel === false) return
    await set({ minSeconds: 60, maxSeconds: 60 })
    const id = await start()
    expect(await provider.cancel(account(), id)).toEqual({ kind: 'cancelled' })
    expect((await ledger()).at(-1)).toMatchObject({ status: 'cancelled' })
    expect((await get(id)).kind).toMatch(/^(failed|missing)$/)
  })

  it('asks many at once, or says that it cannot', async () => {
    const ids = [await start(), await start('p [fail]')]
    if (provider.mostAtOnce(account()) === 1) return
    const many = async () =>
      (await provider.getMany(account(), ids)).answers.map((one) => one?.kind)
    await expect.poll(many, { timeout: 10_000 }).toEqual(['done', 'failed'])
  })
}

/** By the provider's own form, and charged once. */
function recoveryOf({ provider, account, request, set, ledger }: LiveBench): void {
  const get = async (id: string) => (await provider.get(account(), id)).answer
  it('does not know what became of a create whose answer is lost, charged once', async () => {
    for (const fault of ['acceptThenReset', 'malformed']) {
      await set({ faults: { ...defaults.faults, [fault]: 1 } })
      const before = (await ledger()).length
      const asked = request(`lost by ${fault}`)
      const from = Date.now()
      const answer = await provider.create(account(), asked)
      expect(answer.kind).toBe(fault === 'malformed' ? 'unreadable' : 'unknown')
      const charged = (await ledger()).slice(before)
      expect(charged).toHaveLength(1)
      await set({ faults: defaults.faults })
      const { findByOwnId, repeatMs, listMs } = provider.can
      const lost = { request: asked, from, until: Date.now(), known: new Set<string>() }
      const recover = findByOwnId
        ? () => provider.find(account(), { ownId: asked.ownId, request: asked })
        : repeatMs !== undefined
          ? () => provider.create(account(), asked)
          : listMs !== undefined
            ? () => provider.search(account(), lost)
            : null
      if (recover === null) continue
      // some lists confirm a task only when it is done
      const taskId = await expect
        .poll(async () => ((await recover()) as { taskId?: string | null }).taskId, {
          timeout: 10_000,
        })
        .toContain(charged[0]!.task_id)
        .then(async () => ((await recover()) as { taskId: string }).taskId)
      expect((await get(taskId)).kind).toMatch(/working|done/)
      expect((await ledger()).slice(before)).toHaveLength(1)
    }
  })
}
