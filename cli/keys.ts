import { parseArgs } from 'node:util'
import { z } from 'zod'
import { scopes } from '#libs/store/api-key.ts'
import { sealingKeyOf } from '#libs/runtime/secrets.ts'
import { ApiKeys } from '#libs/store/api-keys.ts'
import { printable, UsageError, type Command } from './command.ts'
import { keyring, withDatabase } from './config.ts'
import { reEncryptAll } from './keys-re-encrypt.ts'

const scopeList = z
  .string()
  .transform((text) => text.split(',').map((one) => one.trim()))
  .pipe(z.array(z.enum(scopes)).min(1))

function parse(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      user: { type: 'string' },
      scopes: { type: 'string', default: 'read,write' },
      name: { type: 'string' },
    },
  })
  const wanted = scopeList.safeParse(values.scopes)
  if (!wanted.success) throw new UsageError(`--scopes must be some of ${scopes.join(',')}.`)
  return {
    verb: positionals[0],
    id: positionals[1],
    user: values.user,
    scopes: [...new Set(wanted.data)],
    name: values.name ?? null,
  }
}

async function requireUser(keys: ApiKeys, user: string | undefined): Promise<string> {
  if (!z.uuid().safeParse(user).success) throw new UsageError('--user must be a user’s id.')
  if (!(await keys.userExists(user!))) throw new Error(`There is no user ${user}.`)
  return user!
}

export const keys: Command = {
  usage: `  keys create --user <id> [--scopes read,write] [--name <text>]   a new API key; printed this once
  keys list --user <id>                       the user's keys, without their secrets
  keys revoke <key id>                        for good; gateways follow within 5 s, open streams end within a minute
  keys re-encrypt                             every stored provider key sealed to the first key of KEY_ENCRYPTION_KEY
  keys sealing-key                            KEY_SEALING_KEY, the public half of that key, for gateways`,
  async run(args) {
    const { verb, id, user, name, scopes } = parse(args)
    if (verb === 're-encrypt') return reEncryptAll()
    if (verb === 'sealing-key') {
      process.stdout.write(`${sealingKeyOf(keyring()[0]).toString('base64')}\n`)
      return
    }
    await withDatabase(async (db) => {
      const store = new ApiKeys(db)
      if (verb === 'create') {
        const { apiKey } = await store.create(await requireUser(store, user), scopes, name)
        process.stdout.write(`${apiKey}\n`)
      } else if (verb === 'list') {
        for (const key of await store.list(await requireUser(store, user)))
          process.stdout.write(
            `${key.id}\t${key.scopes.join(',')}\t${key.createdAt}\t${key.revokedAt ? `revoked ${key.revokedAt}` : 'valid'}\t${printable(key.name ?? '')}\n`,
          )
      } else if (verb === 'revoke' && id) {
        if (!(await store.revoke(id))) throw new Error(`There is no key ${id}.`)
        process.stdout.write(`revoked ${id}\n`)
      } else
        throw new UsageError(
          'keys needs one of: create, list, revoke <key id>, re-encrypt, sealing-key.',
        )
    })
  },
}
