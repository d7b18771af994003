/**
 * What users do all the while: submit (again, under the same key, until accepted), cancel, retry.
 * Remembers what was promised to them.
 */
import { pause } from '../support/system.ts'
import type { Cluster } from './cluster.ts'

export interface Wishes {
  /** Submissions a second. */
  rate: number
  /** Shares of everything asked. */
  cancel?: number
  retry?: number
  deadline?: number
  prompts?: string[]
}

export class Users {
  /** Accepted videos, and when (Unix ms). */
  readonly accepted = new Map<string, number>()
  /** Answers to submissions, by HTTP status; 0: nobody answered. */
  readonly answers = new Map<number, number>()
  /** Answers that are neither what was asked for nor a clear "not now". */
  readonly unclear: string[] = []
  readonly #cluster: Cluster
  readonly #random: () => number
  readonly #inHand = new Set<Promise<void>>()
  #keys = 0
  #stopped = false
  #running: Promise<void> = Promise.resolve()

  constructor(cluster: Cluster, random: () => number) {
    this.#cluster = cluster
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
    const { projectId, scriptId, sceneIds } = this.#cluster.demo
    const path = `/api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[this.#keys % sceneIds.length]}/generate-video`
    const key = `key-${this.#keys++}`
    for (let tries = 0; tries < 1_200; tries++) {
      const answer = await this.#cluster.api('POST', path, body, { 'idempotency-key': key })
      this.answers.set(answer.status, (this.answers.get(answer.status) ?? 0) + 1)
      if (answer.status === 202)
        return void this.accepted.set(String(answer.body['id']), Date.now())
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
    const { status, body } = await this.#cluster.api('POST', `/api/scene-videos/${id}/${verb}`, {})
    if (![0, 202, 404, 409, 429, 503].includes(status))
      this.unclear.push(`${verb} answered ${status}: ${JSON.stringify(body)}`)
  }
}
