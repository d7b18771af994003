/** What every route needs. */
import type {
  FastifyInstance,
  FastifyBaseLogger,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { NatsBus } from '#libs/bus/connect.ts'
import type { ProviderDescription } from '#libs/provider/registry.ts'
import type { FileStore } from '#libs/files/file-store.ts'
import type { Checks } from '#libs/runtime/health.ts'
import type { AiConfigs } from '#libs/store/ai-configs.ts'
import type { ApiKeys } from '#libs/store/api-keys.ts'
import type { BulkActions } from '#libs/store/bulk-actions.ts'
import type { Eraser } from '#libs/store/erase.ts'
import type { FileRemoval } from '#libs/store/file-removal.ts'
import type { FileReader } from '#libs/store/file-reader.ts'
import type { Library } from '#libs/store/library.ts'
import type { OperatorReader } from '#libs/store/operator-reader.ts'
import type { ProjectWriter } from '#libs/store/projects.ts'
import type { ProviderAccounts } from '#libs/store/provider-accounts.ts'
import type { Reader } from '#libs/store/reader.ts'
import type { RequestKeys } from '#libs/store/request-keys.ts'
import type { Retries } from '#libs/store/retry-candidates.ts'
import type { Uploads } from '#libs/store/uploads.ts'
import type { Auth } from './auth.ts'
import type { Budget } from './budget.ts'
import type { BulkRunner } from './bulk.ts'
import type { Limits } from './limits.ts'
import type { Hub } from './live/hub.ts'
import type { OpenStreams } from './live/open-streams.ts'
import type { Prices } from './prices.ts'
import type { StreamTokens } from './stream-token.ts'
import type { Turns } from './turns.ts'

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>

export interface Context {
  bus: NatsBus
  hub: Hub
  reader: Reader
  library: Library
  projects: ProjectWriter
  eraser: Eraser
  files: FileStore
  fileReader: FileReader
  fileRemoval: FileRemoval
  uploads: Uploads
  uploadLimits: { most: number; mostBytes: number }
  /** Where providers reach this gateway, if they can. */
  publicUrl: string | null
  /** Files are read by links into the store. */
  presignsFiles: boolean
  /** Of readers who take nothing. */
  fileStallMs: number
  retries: Retries
  requestKeys: RequestKeys
  bulkActions: BulkActions
  bulkRunner: BulkRunner
  operator: OperatorReader
  providerAccounts: Pick<ProviderAccounts, 'list' | 'act'>
  apiKeys: ApiKeys
  aiConfigs: AiConfigs
  auth: Auth
  limits: Limits
  budget: Budget
  prices: Prices
  streamTokens: StreamTokens
  open: OpenStreams
  turns: Turns
  /** Of pieces of files: a store that is slow holds up no other request. */
  storeTurns: Turns
  /** Users' provider keys are sealed to it; nothing here opens them. */
  sealingKey: Buffer
  checks: Checks
  /** The operator's own configuration, used where neither project nor user has one. */
  system: { provider: string; model: string }
  /** Those that are switched on. */
  providers: ProviderDescription[]
  allowPrivateBaseUrls: boolean
  /** By provider; webhooks of one without are refused. */
  webhookSecrets: ReadonlyMap<string, string>
}

/** One operation, in a scope of its own: what it adds to it, others do not have. */
export type Route = (app: App, context: Context) => void
