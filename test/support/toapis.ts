/** The default provider by itself, with settings of its own as a test has them. */
import type { Provider } from '#libs/provider/provider.ts'
import { declarationOf, dialectOf } from '#libs/provider/registry.ts'
import { createRestProvider, type RestOptions } from '#libs/provider/rest.ts'

interface ToapisOptions extends RestOptions {
  findByOwnId?: boolean
  batchPath?: string | undefined
}

export const toapisDialect = (values: Record<string, unknown> = { FIND_BY_OWN_ID: true }) =>
  dialectOf(declarationOf('toapis')!, values)

export const createToapis = ({
  findByOwnId = true,
  batchPath,
  ...options
}: ToapisOptions): Provider =>
  createRestProvider(toapisDialect({ FIND_BY_OWN_ID: findByOwnId, BATCH_PATH: batchPath }), options)
