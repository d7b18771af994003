/** Runs what has the same name one after another; what has different names, at once. */
export class OneByOne {
  readonly #last = new Map<string, Promise<unknown>>()

  run<T>(name: string, action: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const turn = before ? before.then(action, action) : action()
    this.#last.set(name, turn)
    const leave = () => {
      if (this.#last.get(name) === turn) this.#last.delete(name)
    }
    turn.then(leave, leave)
    return turn
  }
}
