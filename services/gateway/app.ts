/** What every route needs. */
import type { FastifyInstance, FastifyBaseLogger, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Bus } from '#libs/bus/bus.ts'
import type { EventFeed } from '#libs/bus/event-feed.ts'
import type { ProjectWriter } from '#libs/store/projects.ts'
import type { Reader } from '#libs/store/reader.ts'
import type { Auth } from './auth.ts'

export type App = FastifyInstance<RawServerDefault, RawRequestDefaultExpression, RawReplyDefaultExpression, FastifyBaseLogger, ZodTypeProvider>

export interface Context {
  bus: Bus
  feed: EventFeed
  reader: Reader
  projects: ProjectWriter
  auth: Auth
  webhookSecret: string | undefined
}
