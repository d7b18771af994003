/**
 * The tasks that the last creates were answered with. One that comes again for another create is
 * meant for somebody else: seen here at once, however close together both come.
 */
import type { Account, CreateAnswer, CreateRequest } from '../provider.ts'

const mostKept = 1_000

export class AnsweredTasks {
  /** By place and task: the own id of its create. */
  readonly #tasks = new Map<string, string>()

  /** The answer, where it is this create's own; else it cannot be read. */
  own({ baseUrl }: Account, { ownId }: CreateRequest, answer: CreateAnswer): CreateAnswer {
    // rule: the task of another create is not taken
    if (answer.kind !== 'accepted' || this.#isOf(ownId, `${baseUrl}\n${answer.taskId}`))
      return answer
    return { kind: 'unreadable', reason: `it names the task of another create: ${answer.taskId}` }
  }

  /** Its first create has it. */
  #isOf(ownId: string, task: string): boolean {
    const known = this.#tasks.get(task)
    if (known !== undefined) return known === ownId
    if (this.#tasks.size >= mostKept) this.#tasks.delete(this.#tasks.keys().next().value!)
    this.#tasks.set(task, ownId)
    return true
  }
}
