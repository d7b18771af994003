import { parseArgs } from 'node:util'
import { z } from 'zod'
import { ApiKeys } from '#libs/store/api-keys.ts'
import { printable, UsageError, type Command } from './command.ts'
import { withDatabase } from './config.ts'

const limitNames = [
  'requestsPerMinute',
  'createsPerMinute',
  'createsPerDay',
  'openVideos',
  'apiKeys',
  'streams',
  'spendPerDay',
  'spendPerMonth',
] as const

/** `name=value,…`, or `none`. */
function limitsOf(text: string): Record<string, number> | null {
  if (text === 'none') return null
  const pairs = text.split(',').map((one) => /^(\w+)=(\d{1,9}(?:\.\d{1,6})?)$/.exec(one.trim()))
  const known: readonly string[] = limitNames
  const isKnown = ([, name, value]: RegExpExecArray) =>
    known.includes(name!) && (name!.startsWith('spend') || !value!.includes('.'))
  if (!pairs.every((pair) => pair !== null && isKnown(pair)))
    throw new UsageError(`Limits are <name>=<number>,… of ${limitNames.join(', ')}; or none.`)
  return Object.fromEntries(pairs.map((pair) => [pair![1]!, Number(pair![2])]))
}

const isUser = (id: string | undefined): id is string => z.uuid().safeParse(id).success

interface Act {
  /** How many arguments, the first of which is a user's id where `ofUser` says so. */
  takes: number
  ofUser: boolean
  /** What is printed. */
  run(store: ApiKeys, given: string[]): Promise<string>
}

const nameOf = (text: string | undefined): string => {
  const name = text?.trim() ?? ''
  if (name === '' || name.length > 200 || /\p{Cc}/u.test(name))
    throw new UsageError('A name is 1 to 200 characters, without control characters.')
  return name
}

const acts: Record<string, Act> = {
  create: {
    takes: 1,
    ofUser: false,
    run: async (store, [name]) => (await store.createUser(nameOf(name))).id,
  },
  list: {
    takes: 0,
    ofUser: false,
    run: async (store) =>
      (await store.users())
        .map(({ id, name, disabledAt }) =>
          [
            id,
            printable(name),
            ...(disabledAt ? [`disabled ${disabledAt.toISOString()}`] : []),
          ].join('\t'),
        )
        .join('\n'),
  },
  rename: {
    takes: 2,
    ofUser: true,
    async run(store, [id, name]) {
      await store.renameUser(id!, nameOf(name))
      return 'renamed'
    },
  },
  disable: {
    takes: 1,
    ofUser: true,
    async run(store, [id]) {
      await store.setDisabled(id!, true)
      return 'disabled'
    },
  },
  enable: {
    takes: 1,
    ofUser: true,
    async run(store, [id]) {
      await store.setDisabled(id!, false)
      return 'enabled'
    },
  },
  link: {
    takes: 3,
    ofUser: true,
    async run(store, [id, issuer, sub]) {
      await store.linkUser(id!, issuer!, sub!)
      return `linked ${sub} of ${issuer}`
    },
  },
  limits: {
    takes: 2,
    ofUser: true,
    async run(store, [id, limits]) {
      await store.setLimits(id!, limitsOf(limits!))
      return 'set'
    },
  },
}

export const users: Command = {
  usage: `  users create <name>                         a new user; prints its id
  users list                                  every user's id and name, and whether it is disabled
  users rename <id> <name>                    changes nothing but the name
  users disable <id>                          its keys and tokens are refused within 5 s, open streams end within a minute;
                                              videos in hand go on, and are paid for
  users enable <id>                           lets it in again, with the same keys
  users link <id> <issuer> <sub>              this sub of a JWT issuer stands for that user
  users limits <id> <name>=<number>,…|none    exceptions from the limits that the settings give`,
  async run(args) {
    const { positionals } = parseArgs({ args, allowPositionals: true })
    const [verb = '', ...given] = positionals
    const act = Object.hasOwn(acts, verb) ? acts[verb] : undefined
    if (!act || given.length !== act.takes || (act.ofUser && !isUser(given[0])))
      throw new UsageError(
        'users needs one of: create <name>, list, rename <id> <name>, disable <id>, enable <id>, link <id> <issuer> <sub>, limits <id> <limits>.',
      )
    await withDatabase(async (db) => {
      const store = new ApiKeys(db)
      if (act.ofUser && !(await store.userExists(given[0]!)))
        throw new Error(`There is no user ${given[0]}.`)
      process.stdout.write(`${await act.run(store, given)}\n`)
    })
  },
}
