/** A world in which nothing goes wrong but what a schedule does. */
import { commandReplySchema, commandSubject } from '#libs/scene-video/messages.ts'
import type { VideoRecord } from '#libs/store/submissions.ts'
import { Simulation, type SimulationOptions } from './simulation.ts'
import { userIds } from './tenants.ts'

export class Kit extends Simulation {
  constructor(options: SimulationOptions = {}) {
    super(1, true, { fair: true, ...options })
  }

  /** Goes on for so many simulated milliseconds. @throws the first broken law */
  async pass(ms: number): Promise<void> {
    let isOver = false
    this.world.schedule(ms, null, () => (isOver = true))
    while (!isOver) await this.world.step()
    if (this.laws.broken) throw this.laws.broken
  }

  /** Goes on until that is so, for at most `ms`. @throws when it never was */
  async until(what: string, isSo: () => boolean, ms = 60_000): Promise<void> {
    const from = this.world.now
    while (!isSo()) {
      if (this.world.now > from + ms)
        throw new Error(`not ${what} after ${ms} ms\n${this.world.log.slice(-40).join('\n')}`)
      await this.pass(50)
    }
  }

  async #ask(subject: string, body: object): Promise<string> {
    let reply: unknown
    void this.userBus.request(subject, body, 20_000).then(
      (heard) => (reply = heard),
      (err: unknown) => (reply = err),
    )
    await this.until('answered', () => reply !== undefined, 30_000)
    const parsed = commandReplySchema.parse(reply)
    if (!parsed.ok) throw new Error(`refused: ${parsed.code}`)
    return parsed.video.id
  }

  /** An accepted video of one of the tenants; its id. */
  async submit(body: { deadlineSeconds?: number } = {}, tenant = 0): Promise<string> {
    const userId = userIds[tenant]!
    const place = { userId, projectId: userId, scriptId: userId, sceneId: userId }
    return this.#ask(commandSubject.generate, { ...place, idempotencyKey: null, body })
  }

  cancel = (id: string) =>
    this.#ask(commandSubject.cancel, { userId: this.video(id).userId, id, attempt: null })

  video(id: string): VideoRecord {
    return this.store.videos.get(id)!
  }

  /** The poller that hosts it. */
  ownerOf(id: string): string | undefined {
    return [...this.running].find(([, { poller, process }]) => {
      return process.alive && poller?.host.videos.has(id)
    })?.[0]
  }
}
