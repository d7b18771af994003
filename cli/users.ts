import { parseArgs } from 'node:util'
import { ApiKeys } from '#libs/store/api-keys.ts'
import { UsageError, type Command } from './command.ts'
import { withDatabase } from './config.ts'

export const users: Command = {
  usage: '  users create <name>                         a new user; prints its id',
  async run(args) {
    const {
      positionals: [verb, name, ...more],
    } = parseArgs({ args, allowPositionals: true })
    if (verb !== 'create' || !name || more.length)
      throw new UsageError('users create needs one name.')
    const { id } = await withDatabase((db) => new ApiKeys(db).createUser(name))
    process.stdout.write(`${id}\n`)
  },
}
