/**
 * Videos of one account that are due, until its budget allows for them. Users take turns: one with
 * thousands of videos stretches no interval of another one's few. Those of one user go in the order
 * in which they were due. What is not hosted any more is skipped.
 */
import type { Hosted } from './hosted.ts'

type Due = Pick<Hosted, 'userId' | 'isHosted' | 'isAlone'>

export class UserTurns<T extends Due> {
  /** In the order of their turns. */
  readonly #users = new Map<string, T[]>()
  #size = 0

  /** Those that wait, and what is not hosted any more and was not skipped yet. */
  get size(): number {
    return this.#size
  }

  add(video: T): void {
    const queue = this.#users.get(video.userId)
    if (queue) queue.push(video)
    else this.#users.set(video.userId, [video])
    this.#size++
  }

  hasNext(): boolean {
    return this.#peek() !== undefined
  }

  /** At most so many, a turn each; one that is to be asked for alone comes alone. */
  next(most: number): T[] {
    const videos: T[] = []
    while (videos.length < most) {
      const video = this.#peek()
      if (!video || (video.isAlone && videos.length > 0)) break
      videos.push(video)
      this.#takeFirst()
      if (video.isAlone) break
    }
    return videos
  }

  #peek(): T | undefined {
    for (const [userId, queue] of this.#users) {
      while (queue[0] && !queue[0].isHosted) {
        queue.shift()
        this.#size--
      }
      if (queue[0]) return queue[0]
      this.#users.delete(userId)
    }
    return undefined
  }

  /** The first one's user goes to the end. */
  #takeFirst(): void {
    const [userId, queue] = this.#users.entries().next().value!
    queue.shift()
    this.#size--
    // rule: users take turns at the queries of an account
    this.#users.delete(userId)
    if (queue.length > 0) this.#users.set(userId, queue)
  }
}
