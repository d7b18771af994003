/**
 * Whether recovery works at an account: seen once, after a create whose answer did come. In a list,
 * once for each model: tasks of one that goes by another name there would be found by nobody.
 */
import type { OpenedAccount } from '#libs/provider/accounts.ts'
import { canAt } from '#libs/provider/recovery.ts'
import type { Provider } from '#libs/provider/provider.ts'
import { unixMs } from '#libs/runtime/clock.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import type { Loaded } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'
import type { Proof } from './accounts.ts'
import { requestOf } from './requests.ts'

/** What is proven, as noted: the account, and, where it is found in a list, the model. */
export const proofOf = (
  provider: Pick<Provider, 'can' | 'recoveryHosts'>,
  { id, formerIds, baseUrl }: Pick<OpenedAccount, 'id' | 'formerIds' | 'baseUrl'>,
  model: string,
): Proof => {
  // rule: absence of a model counts only where a task of that model was found
  const more = canAt(provider, { baseUrl }).findByOwnId ? '' : `/${model}`
  return { id: id + more, formerIds: formerIds.map((one) => one + more) }
}

/**
 * After an accepted create: whether its task would be found, noted with the account. Not tried
 * while another one tries the same.
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
  const proof = proofOf(provider, account, video.model)
  if (accounts.isKnownProven(proof.id) || !accounts.beginProof(proof.id)) return
  try {
    if (await accounts.isProven(store, proof, provider.name)) return
    if ((await findAgain(context, provider, account, video)) === taskId)
      await accounts.prove(store, proof.id, provider.name)
  } catch (err) {
    log.warn({ err }, 'finding a task again was not tried to its end')
  } finally {
    accounts.endProof(proof.id)
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
