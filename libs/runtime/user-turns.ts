/**
 * What waits for something that comes piece by piece, as an account's queries do. Users take turns:
 * one that waits for thousands of pieces delays no other one. What waits of one user goes in the
 * order in which it came.
 */
export class UserTurns<T extends { readonly userId: string }> {
  /** In the order of their turns. */
  readonly #users = new Map<string, T[]>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(one: T): void {
    const queue = this.#users.get(one.userId)
    if (queue) queue.push(one)
    else this.#users.set(one.userId, [one])
    this.#size++
  }

  /** Whose turn it is. */
  first(): T | undefined {
    const first = this.#users.values().next()
    return first.done ? undefined : first.value[0]
  }

  /** The first in turn who is none of those. */
  userBeside(users: ReadonlySet<string>): string | undefined {
    for (const userId of this.#users.keys()) if (!users.has(userId)) return userId
    return undefined
  }

  /** How many of those that wait go before it. */
  ahead(one: T): number {
    const own = this.#users.get(one.userId)!.indexOf(one)
    let ahead = own
    let isBefore = 1
    for (const [userId, queue] of this.#users) {
      if (userId === one.userId) isBefore = 0
      else ahead += Math.min(queue.length, own + isBefore)
    }
    return ahead
  }

  /** It goes, and its user is the last in turn. */
  take(one: T): void {
    const queue = this.#users.get(one.userId)
    this.drop(one)
    // rule: users take turns at the queries of an account
    this.#users.delete(one.userId)
    if (queue?.length) this.#users.set(one.userId, queue)
  }

  /** It waits no more, and its user keeps the turn. */
  drop(one: T): void {
    const queue = this.#users.get(one.userId)
    const at = queue?.indexOf(one) ?? -1
    if (!queue || at < 0) return
    queue.splice(at, 1)
    this.#size--
    if (queue.length === 0) this.#users.delete(one.userId)
  }
}
