/** Whether recovery works at an account: seen once, after a create whose answer did come. */
import type { OpenedAccount } from '#libs/provider/accounts.ts'
import { canAt } from '#libs/provider/recovery.ts'
import type { Provider } from '#libs/provider/provider.ts'
import { unixMs } from '#libs/runtime/clock.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import type { Loaded } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'
import { requestOf } from './requests.ts'

/**
 * After an accepted create: whether its task would be found, noted with the account. Not tried
 * while another one tries the same account.
 */
export async function proveByLookUp(
  context: SubmitContext,
  account: OpenedAccount,
  video: Loaded['video'],
  taskId: string,
): Promise<void> {
  const { accounts, providers, store, log } = context
  const provider = providers.of(video.provider)
  // an absence would count for nothing
  if (!provider || canAt(provider, account).listMayLack) return
  if (!accounts.beginProof(account.id)) return
  try {
    if (await accounts.isProven(store, account.id, provider.name)) return
    if ((await findAgain(context, provider, account, video)) === taskId)
      await accounts.prove(store, account.id, provider.name)
  } catch (err) {
    log.warn({ err }, 'finding a task again was not tried to its end')
  } finally {
    accounts.endProof(account.id)
  }
}

/** The id of the task just made, by the way in which it would be looked for; null: not found. */
async function findAgain(
  { config, callbacks }: SubmitContext,
  provider: Provider,
  account: OpenedAccount,
  video: Loaded['video'],
): Promise<string | null> {
  const can = canAt(provider, account)
  const request = requestOf(callbacks, video, video.attempt)
  const own = { ownId: ownId(video.id, video.attempt), request }
  if (can.findByOwnId) return (await provider.find(account, own)).taskId
  if (can.listMs === undefined || !request) return null
  const until = unixMs()
  const from = until - config.LOOKUP_WINDOW_MS
  const found = await provider.search(account, { request, from, until, known: new Set() })
  return found.kind === 'found' ? found.taskId : null
}
