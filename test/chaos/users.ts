/**
 * What a tenant does all the while: submit (again, under the same key, until accepted), cancel,
 * retry. Remembers what was promised.
 */
import { pause } from '../support/system.ts'
import type { Tenant } from '../support/tenant.ts'

export interface Wishes {
  /** Submissions a second. */
  rate: number
  /** Shares of everything asked. */
  cancel?: number
  retry?: number
  deadline?: number
  prompts?: string[]
}

let made = 0

export class Users {
  /** Accepted videos, and when (Unix ms). */
  readonly accepted = new Map<string, number>()
  /** How long each answer 202 to a submission took, in ms. */
  readonly acceptMs: number[] = []
  /** Videos whose cancel was answered 202, and when first (Unix ms); the attempt it was of. */
  readonly cancelled = new Map<string, { at: number; attempt: number }>()
  /** Answers to submissions, by HTTP status; 0: nobody answered. */
  readonly answers = new Map<number, number>()
  /** Answers that are neither what was asked for nor a clear "not now". */
  readonly unclear: string[] = []
  readonly tenant: Tenant
  readonly #random: () => number
  /** Idempotency keys are per user: two of the same tenant must not mean the same videos. */
  readonly #name = `users-${++made}`
  readonly #inHand = new Set<Promise<void>>()
  #keys = 0
  #stopped = false
  #running: Promise<void> = Promise.resolve()

  constructor(tenant: Tenant, random: () => number) {
    this.tenant = tenant
    this.#random = random
  }

  begin(wishes: Wishes, limit = Infinity): void {
    this.#running = this.#loop(wishes, limit)
  }

  /**
   * Everything asked has been answered. Ends by itself at `limit` submissions, else when stopped.
   */
  async finish(): Promise<void> {
    await this.#running
    await Promise.all(this.#inHand)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.finish()
  }

  async #loop(
    { rate, cancel = 0, retry = 0, deadline = 0, prompts = ['a boat'] }: Wishes,
    limit: number,
  ): Promise<void> {
    let left = limit
    while (!this.#stopped && left > 0) {
      await pause((1000 / rate) * (0.5 + this.#random()))
      const dice = this.#random()
      if (dice < cancel) this.#do(() => this.#command('cancel'))
      else if (dice < cancel + retry) this.#do(() => this.#command('retry'))
      else {
        left--
        const body = {
          prompt: prompts[Math.floor(this.#random() * prompts.length)]!,
          ...(this.#random() < deadline
            ? { deadlineSeconds: 3 + Math.floor(this.#random() * 20) }
            : {}),
        }
        this.#do(() => this.#submit(body))
      }
    }
  }

  #do(act: () => Promise<void>): void {
    const work = act().finally(() => this.#inHand.delete(work))
    this.#inHand.add(work)
  }

  async #submit(body: object): Promise<void> {
    const { projectId, scriptId, sceneIds } = this.tenant.demo
    const path = `/api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[this.#keys % sceneIds.length]}/generate-video`
    const key = `${this.#name}-${this.#keys++}`
    for (let tries = 0; tries < 1_200; tries++) {
      const begun = performance.now()
      const answer = await this.tenant.api('POST', path, body, { 'idempotency-key': key })
      this.answers.set(answer.status, (this.answers.get(answer.status) ?? 0) + 1)
      if (answer.status === 202) {
        this.acceptMs.push(performance.now() - begun)
        return void this.accepted.set(String(answer.body['id']), Date.now())
      }
      if (![0, 503, 409, 429].includes(answer.status))
        this.unclear.push(`submit answered ${answer.status}: ${JSON.stringify(answer.body)}`)
      await pause(300 + 700 * this.#random())
    }
    this.unclear.push('a submission was not accepted for ten minutes')
  }

  async #command(verb: 'cancel' | 'retry'): Promise<void> {
    const ids = [...this.accepted.keys()]
    const recent = ids.slice(-200)
    const id = recent[Math.floor(this.#random() * recent.length)]
    if (!id) return
    const { status, body } = await this.tenant.api('POST', `/api/scene-videos/${id}/${verb}`, {})
    if (![0, 202, 404, 409, 429, 503].includes(status))
      this.unclear.push(`${verb} answered ${status}: ${JSON.stringify(body)}`)
    const isNew = verb === 'cancel' && status === 202 && body['attempt'] !== undefined
    if (isNew && this.cancelled.get(id)?.attempt !== body['attempt'])
      this.cancelled.set(id, { at: Date.now(), attempt: Number(body['attempt']) })
  }
}
