/**
 * The operator's command: `npm run reelkeeper -- <command> …`. Exit 0 when done, 1 when it failed,
 * 2 when asked wrongly.
 */
import { ConfigError } from '#libs/runtime/config.ts'
import { asksForHelp, isAskedWrongly, UsageError, type Command } from './command.ts'
import { circuits } from './circuits.ts'
import * as deadLetters from './dead-letters.ts'
import * as files from './files.ts'
import { keys } from './keys.ts'
import * as postgresRoles from './postgres-roles.ts'
import * as postgresRestored from './postgres-restored.ts'
import { providers } from './providers.ts'
import { users } from './users.ts'

const commands: Record<string, Command> = {
  users,
  keys,
  files,
  providers,
  circuits,
  'dead-letters': deadLetters,
  'postgres-restored': postgresRestored,
  'postgres-roles': postgresRoles,
}

const usage = () => `Usage: reelkeeper <command>

${Object.values(commands)
  .map((command) => command.usage)
  .join('\n')}

Settings come from the environment: DATABASE_URL, NATS_URL, KEY_ENCRYPTION_KEY. Without them, the system that \`npm start\` runs in this directory.
`

async function main([name = '', ...args]: string[]): Promise<number> {
  if (['', 'help', '--help', '-h'].includes(name)) {
    process.stdout.write(usage())
    return 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  try {
    if (!command) throw new UsageError(`There is no command ${name}.`)
    if (asksForHelp(args)) {
      process.stdout.write(`${command.usage}\n`)
      return 0
    }
    return (await command.run(args)) ?? 0
  } catch (err) {
    const isWrong = isAskedWrongly(err)
    process.stderr.write(
      `${(err as Error).message}\n${isWrong ? `\n${command?.usage ?? usage()}\n` : ''}`,
    )
    return isWrong || err instanceof ConfigError ? 2 : 1
  }
}

process.exitCode = await main(process.argv.slice(2))
