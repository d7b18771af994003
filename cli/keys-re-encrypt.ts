import { Accounts } from '#libs/provider/accounts.ts'
import { keyId, type Keyring } from '#libs/runtime/secrets.ts'
import type { Database } from '#libs/store/connect.ts'
import { renameAccount } from '#libs/store/account-ids.ts'
import { reEncrypt, type ReEncrypted, type SealedRow } from '#libs/store/re-encrypt.ts'
import { keyringInUse, withDatabase } from './config.ts'

const mostPasses = 5

/**
 * Seals every stored provider key to the first key of KEY_ENCRYPTION_KEY. Looks through all of them
 * again until nothing is left: what is stored meanwhile may copy what was not sealed anew yet.
 */
export async function reEncryptAll(): Promise<void> {
  const keys = keyringInUse()
  const [current, ...former] = keys.map(keyId)
  process.stdout.write(`current key ${current}, former ${former.join(', ') || 'none'}\n`)
  const { changed, failed, isStill } = await withDatabase((db) => allPasses(db, keys))
  process.stdout.write(`done: ${changed} re-encrypted\n`)
  if (failed)
    throw new Error(
      `${failed} could not be decrypted with any of these keys. Add the key they were made under behind the current one and run this again.`,
    )
  if (isStill)
    throw new Error(
      'Some process still seals to a former key. Put the current key in front everywhere, the sealing key of gateways too, and run this again.',
    )
}

async function allPasses(db: Database, keys: Keyring): Promise<ReEncrypted & { isStill: boolean }> {
  const progress = (table: string, done: ReEncrypted) =>
    process.stdout.write(`${table}: ${done.changed} re-encrypted, ${done.failed} failed\n`)
  const before = carryOver(db, new Accounts(keys))
  let all = 0
  for (let pass = 1; ; pass++) {
    const { changed, failed } = await reEncrypt(db, keys, { before, progress })
    all += changed
    if (changed === 0 || pass === mostPasses) return { changed: all, failed, isStill: changed > 0 }
  }
}

/**
 * An account's id is another by another key: what operators did to it, what is proven of it, and
 * its tasks at work go over to the new one.
 */
function carryOver(db: Database, accounts: Accounts) {
  const done = new Set<string>()
  return async (rows: SealedRow[]): Promise<void> => {
    for (const { provider, baseUrl, keyCipher } of rows) {
      const account = baseUrl === null ? null : accounts.open({ baseUrl, keyCipher })
      if (!account?.formerIds.length || done.has(`${provider} ${account.id}`)) continue
      await renameAccount(db, { accountId: account.id, provider }, account.formerIds)
      done.add(`${provider} ${account.id}`)
    }
  }
}
