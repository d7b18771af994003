/**
 * What a file is fetched by: its provider's link, a fresh one where the provider gives one and this
 * one is dead or about to die, and the account's key where the link needs it. Without the
 * key-encryption key neither is to be had, and the file is fetched by what there is.
 */
import type { Accounts, OpenedAccount } from '#libs/provider/accounts.ts'
import type { LinkOpener, TaskReader } from '#libs/provider/provider.ts'
import { declarationOf } from '#libs/provider/registry.ts'
import type { ClaimedFile, FileRecords } from '#libs/store/file-records.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import { DownloadFailed } from './download.ts'

export interface LinkParts {
  providers: { of(name: string): (Pick<TaskReader, 'get'> & LinkOpener) | null }
  accounts: Pick<Accounts, 'open'> | null
  records: Pick<InterfaceOf<FileRecords>, 'renewed'>
}

/** A link with less than this left is renewed before it is used. */
const tooShortMs = 60_000

export class Links {
  readonly #parts: LinkParts
  constructor(parts: LinkParts) {
    this.#parts = parts
  }

  /**
   * Headers to fetch `file.url` with, which may be a fresh link by then.
   * @throws DownloadFailed
   */
  async open(file: ClaimedFile): Promise<Record<string, string>> {
    const declaration = declarationOf(file.provider)
    const provider = this.#parts.providers.of(file.provider)
    if (!declaration || !provider) return {}
    const isDying = file.tries > 1 || file.untilExpiryMs < tooShortMs
    const renews = declaration.renewsLinks === true && isDying
    if (!declaration.linkNeedsKey && !renews) return {}
    const account = file.account && this.#parts.accounts?.open(file.account)
    if (renews) file.linkMayCome = !account || (await this.#renew(file, provider, account))
    if (!declaration.linkNeedsKey) return {}
    if (!account)
      throw new DownloadFailed(
        'later',
        this.#parts.accounts
          ? 'its account cannot be opened'
          : 'its link needs the account: give the archiver KEY_ENCRYPTION_KEY',
      )
    const headers = await provider.linkHeaders(account, file.url)
    if (headers === null) throw new DownloadFailed('later', 'its account gives no token just now')
    return headers
  }

  /** Whether a fresh link may still be had: the provider said neither yes nor no. */
  async #renew(
    file: ClaimedFile,
    provider: Pick<TaskReader, 'get'>,
    account: OpenedAccount,
  ): Promise<boolean> {
    if (file.taskId === null) return false
    const { answer } = await provider.get(account, file.taskId)
    if (answer.kind === 'missing') throw new DownloadFailed('gone', 'the provider has no such task')
    // whatever else it says: the link that is known may still serve
    if (answer.kind !== 'done') return ['none', 'later', 'working'].includes(answer.kind)
    if (answer.videoUrl === file.url) return false
    const { videoUrl, expiresAt } = answer
    const { id, claim } = file
    const livesMs = await this.#parts.records.renewed(id, claim, videoUrl, expiresAt)
    file.untilExpiryMs = livesMs ?? file.untilExpiryMs
    file.url = videoUrl
    return false
  }
}
