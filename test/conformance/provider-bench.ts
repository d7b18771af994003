/** What each part of the suite has in hand. */
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'
import type { SimulatedProvider } from '#services/provider-simulator/dialect.ts'
import type { Behaviour, ScriptedProvider } from './scripted-provider.ts'

export interface Subject {
  name: string
  make(options: { createTimeoutMs: number; getTimeoutMs: number }): Provider
  dialect: SimulatedProvider
  /** What answers tell: of a link its expiry, of a task its progress. */
  tells: { expiry: boolean; progress: boolean }
  /** The account's key or credentials, and what of them may be seen nowhere. */
  apiKey?: string
  secrets?: readonly string[]
  model?: string
}

/** What a test has in hand. */
export interface Bench {
  provider: Provider
  server: ScriptedProvider
  subject: Subject
  request: { ownId: string; model: string; prompt: string }
  account(): { baseUrl: string; apiKey: string }
  secrets: readonly string[]
  /** One request, held to that. */
  create(now: Behaviour): ReturnType<Provider['create']>
  /** Of the task that `create` made. */
  get(now: Behaviour): Promise<TaskAnswer>
  /** The id by which it is asked for. */
  taskId(now?: Behaviour): Promise<string>
}
