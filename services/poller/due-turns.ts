/**
 * Videos of one account that are due, until its budget allows for them; users take turns. What is
 * not hosted any more is skipped.
 */
import { UserTurns } from '#libs/runtime/user-turns.ts'
import type { Hosted } from './hosted.ts'

type Due = Pick<Hosted, 'userId' | 'isHosted' | 'isAlone'>

export class DueTurns<T extends Due> {
  readonly #turns = new UserTurns<T>()

  /** Those that wait, and what is not hosted any more and was not skipped yet. */
  get size(): number {
    return this.#turns.size
  }

  add(video: T): void {
    this.#turns.add(video)
  }

  /** A user who waits, and is none of those. */
  userBeside(users: ReadonlySet<string>): string | undefined {
    return this.hasNext() ? this.#turns.userBeside(users) : undefined
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
      this.#turns.take(video)
      if (video.isAlone) break
    }
    return videos
  }

  #peek(): T | undefined {
    let first = this.#turns.first()
    for (; first && !first.isHosted; first = this.#turns.first()) this.#turns.drop(first)
    return first
  }
}
