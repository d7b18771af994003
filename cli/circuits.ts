/** Circuits of accounts at providers: whether creates go there. */
import { userInfo } from 'node:os'
import { parseArgs } from 'node:util'
import { circuitActs, ProviderAccounts, type CircuitRow } from '#libs/store/provider-accounts.ts'
import { printable, UsageError, type Command } from './command.ts'
import { withDatabase } from './config.ts'

const usage = `circuits list                          of each account: whether creates go there, and why not
circuits open <provider> <account>     have creates wait until it is reset  [--reason <text>]
circuits close <provider> <account>    let creates go there however they fail, until it is reset
circuits reset <provider> <account>    let it open and close by itself`

const lineOf = ({ provider, accountId, host, state, held, reason, nextTryAt, acts }: CircuitRow) =>
  [
    provider,
    accountId,
    host,
    held ? `${state}, held by ${acts[0]?.by.name ?? 'nobody known'}` : state,
    ...(nextTryAt ? [`next try ${nextTryAt}`] : []),
    ...(reason ? [printable(reason)] : []),
  ].join('\t')

/** An account's id is no option, though it may begin with a dash. */
function apart(args: string[]): { names: string[]; options: string[] } {
  const at = args.findIndex((arg) => arg === '--reason' || arg.startsWith('--reason='))
  if (at < 0) return { names: args.filter((arg) => arg !== '--'), options: [] }
  const options = args.slice(at, args[at] === '--reason' ? at + 2 : at + 1)
  const names = args.filter((arg, i) => arg !== '--' && (i < at || i >= at + options.length))
  return { names, options }
}

export const circuits: Command = {
  usage,
  async run([verb = '', ...args]) {
    if (verb === 'list' && args.length === 0) {
      const rows = await withDatabase((db) => new ProviderAccounts(db).list())
      for (const row of rows) process.stdout.write(`${lineOf(row)}\n`)
      return
    }
    const act = circuitActs.find((one) => one === verb)
    if (!act) throw new UsageError(`There is no circuits ${verb}.`)
    const { names, options } = apart(args)
    const { values } = parseArgs({ args: options, options: { reason: { type: 'string' } } })
    const [provider, accountId, ...more] = names
    if (!provider || !accountId || more.length > 0)
      throw new UsageError('Name the provider and the account, as `circuits list` does.')
    const by = { keyId: null, name: `${userInfo().username}, by command` }
    const reason = values.reason?.trim() || null
    const row = await withDatabase((db) =>
      new ProviderAccounts(db).act({ provider, accountId }, { act, reason, by }),
    )
    if (!row) throw new Error(`There is no account ${accountId} at ${provider}.`)
    process.stdout.write(`${lineOf(row)}\n`)
  },
}
