import { keyId } from '#libs/runtime/secrets.ts'
import { reEncrypt } from '#libs/store/re-encrypt.ts'
import { keyringInUse, withDatabase } from './config.ts'

/** Seals every stored provider key to the first key of KEY_ENCRYPTION_KEY. */
export async function reEncryptAll(): Promise<void> {
  const keys = keyringInUse()
  const [current, ...former] = keys.map(keyId)
  process.stdout.write(`current key ${current}, former ${former.join(', ') || 'none'}\n`)
  const { changed, failed } = await withDatabase((db) =>
    reEncrypt(db, keys, (table, done) =>
      process.stdout.write(`${table}: ${done.changed} re-encrypted, ${done.failed} failed\n`),
    ),
  )
  process.stdout.write(`done: ${changed} re-encrypted\n`)
  if (failed)
    throw new Error(
      `${failed} could not be decrypted with any of these keys. Add the key they were made under behind the current one and run this again.`,
    )
}
