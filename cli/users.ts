import { parseArgs } from 'node:util'
import { z } from 'zod'
import { ApiKeys } from '#libs/store/api-keys.ts'
import { UsageError, type Command } from './command.ts'
import { withDatabase } from './config.ts'

const limitNames = [
  'requestsPerMinute',
  'createsPerMinute',
  'createsPerDay',
  'openVideos',
  'apiKeys',
  'streams',
] as const

/** `name=value,…`, or `none`. */
function limitsOf(text: string): Record<string, number> | null {
  if (text === 'none') return null
  const pairs = text.split(',').map((one) => /^(\w+)=(\d{1,9})$/.exec(one.trim()))
  const known: readonly string[] = limitNames
  if (!pairs.every((pair) => pair !== null && known.includes(pair[1]!)))
    throw new UsageError(`Limits are <name>=<number>,… of ${limitNames.join(', ')}; or none.`)
  return Object.fromEntries(pairs.map((pair) => [pair![1]!, Number(pair![2])]))
}

const isUser = (id: string | undefined): id is string => z.uuid().safeParse(id).success

export const users: Command = {
  usage: `  users create <name>                         a new user; prints its id
  users list                                  every user's id and name
  users link <id> <issuer> <sub>              this sub of a JWT issuer stands for that user
  users limits <id> <name>=<number>,…|none    exceptions from the limits that the settings give`,
  async run(args) {
    const { positionals } = parseArgs({ args, allowPositionals: true })
    const [verb, first = '', second = '', third = '', ...more] = positionals
    const given = positionals.length - 1
    if (more.length) throw new UsageError('That is more than users takes.')
    await withDatabase(async (db) => {
      const store = new ApiKeys(db)
      if (verb === 'create' && given === 1) {
        process.stdout.write(`${(await store.createUser(first)).id}\n`)
      } else if (verb === 'list' && given === 0) {
        for (const { id, name } of await store.users()) process.stdout.write(`${id}\t${name}\n`)
      } else if (verb === 'link' && given === 3 && isUser(first)) {
        if (!(await store.userExists(first))) throw new Error(`There is no user ${first}.`)
        await store.linkUser(first, second, third)
        process.stdout.write(`linked ${third} of ${second}\n`)
      } else if (verb === 'limits' && given === 2 && isUser(first)) {
        if (!(await store.setLimits(first, limitsOf(second))))
          throw new Error(`There is no user ${first}.`)
        process.stdout.write(`set\n`)
      } else
        throw new UsageError(
          'users needs one of: create <name>, list, link <id> <issuer> <sub>, limits <id> <limits>.',
        )
    })
  },
}
