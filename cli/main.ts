/** `npm run reelkeeper -- <command>`: what an operator does by hand. Exit code 0 done, 1 not done, 2 not understood. */
import * as deadLetters from './dead-letters.ts'
import * as postgresRestored from './postgres-restored.ts'

export interface Command {
  usage: string
  /** The exit code. */
  run(args: string[]): Promise<number>
}

const commands: Record<string, Command> = { 'dead-letters': deadLetters, 'postgres-restored': postgresRestored }

const [name = '', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command) process.exit(await command.run(args))
process.stdout.write(`Usage: npm run reelkeeper -- <command>\n\n${Object.values(commands).map(({ usage }) => usage).join('\n\n')}\n`)
process.exit(['', 'help', '--help', '-h'].includes(name) ? 0 : 2)
