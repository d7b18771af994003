/** What every route needs. */
import type {
  FastifyInstance,
  FastifyBaseLogger,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Bus } from '#libs/bus/bus.ts'
import type { EventFeed } from '#libs/bus/event-feed.ts'
import type { Keyring } from '#libs/runtime/secrets.ts'
import type { AiConfigs } from '#libs/store/ai-configs.ts'
import type { ApiKeys } from '#libs/store/api-keys.ts'
import type { ProjectWriter } from '#libs/store/projects.ts'
import type { Reader } from '#libs/store/reader.ts'
import type { Auth } from './auth.ts'
import type { OpenStreams } from './live/open-streams.ts'
import type { StreamTokens } from './stream-token.ts'

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>

export interface Context {
  bus: Bus
  feed: EventFeed
  reader: Reader
  projects: ProjectWriter
  apiKeys: ApiKeys
  aiConfigs: AiConfigs
  auth: Auth
  streamTokens: StreamTokens
  open: OpenStreams
  keys: Keyring
  /** The operator's own configuration, used where neither project nor user has one. */
  system: { provider: string; model: string; baseUrl: string; apiKeyLast4: string | null }
  allowPrivateBaseUrls: boolean
  webhookSecret: string | undefined
}
