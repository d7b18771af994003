/** What each part of the suite has in hand. */
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'
import type { Declaration } from '#libs/provider/declaration.ts'
import { createRestProvider } from '#libs/provider/rest.ts'
import type { SimulatedProvider, TroubleKind } from '#services/provider-simulator/dialect.ts'
import { dialects } from '#services/provider-simulator/dialects/index.ts'
import type { Behaviour, ScriptedProvider } from './scripted-provider.ts'

/**
 * A kind of trouble; in answers about a task its `id`; a `link` that is not at its own address; an
 * id that cannot be kept, where the handle holds any text: `raw`.
 */
export type Sayable = TroubleKind | 'id' | 'link' | 'raw'

export interface Subject {
  name: string
  make(options: { createTimeoutMs: number; getTimeoutMs: number }): Provider
  dialect: SimulatedProvider
  /** What answers tell: of a link its expiry, of a task its progress and when it was done. */
  tells: { expiry: boolean; progress: boolean; completion: boolean }
  /** What its documentation has no words for, and the suite does not ask. */
  unsaid?: readonly Sayable[]
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
  says(what: Sayable): boolean
}

/** The simulator is on loopback, where a user's address may not lead. */
export const subjectOf = (
  { dialect, credentials }: Declaration,
  more: Partial<Subject> = {},
): Subject => ({
  name: dialect.name,
  make: (options) => createRestProvider(dialect, { ...options, credentials, allowPrivate: true }),
  dialect: dialects.get(dialect.name)!,
  tells: {
    expiry: dialect.task.expiresAt !== undefined,
    completion: dialect.task.completedAt !== undefined,
    progress: dialect.task.progress !== undefined,
  },
  ...more,
})
