/**
 * The tasks that the last creates were answered with. One that comes again for another create is an
 * answer that was given twice, or meant for somebody else: seen here at once, before anything else
 * is sent over its connection.
 */
import type { Account, CreateAnswer, CreateRequest } from '../provider.ts'

const mostKept = 1_000

export class AnsweredTasks {
  /** By place and task: the own id of its create. */
  readonly #tasks = new Map<string, string>()
  readonly #reconnect: (baseUrl: string) => void

  /** `reconnect`: what is sent there from then on goes over other connections. */
  constructor(reconnect: (baseUrl: string) => void) {
    this.#reconnect = reconnect
  }

  /** The answer, where it is this create's own; else it cannot be read. */
  own({ baseUrl }: Account, { ownId }: CreateRequest, answer: CreateAnswer): CreateAnswer {
    // rule: an answer that was given twice is not taken for the next create’s
    if (answer.kind !== 'accepted' || this.#isOf(ownId, `${baseUrl}\n${answer.taskId}`))
      return answer
    this.#reconnect(baseUrl)
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
