/** The commands of development, asked wrongly. */
import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { numberOf, UsageError } from '../cli/command.ts'

const commands = {
  bench: 'bench/main.ts',
  'bench of live streams': 'bench/live.ts',
  'bench of lost creates': 'bench/lost-creates.ts',
  chaos: 'test/chaos/main.ts',
  drill: 'test/chaos/drill.ts',
  mutations: 'test/mutations/main.ts',
  simulate: 'test/simulation/main.ts',
} as const
type Name = keyof typeof commands

function ask(name: Name, args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', commands[name], ...args],
    // a command that takes them begins its work
    { encoding: 'utf8', timeout: 60_000 },
  )
  const [line, , usage] = stderr.split('\n')
  return { status, stdout, line, usage, isTrace: /^\s+at /m.test(stderr) }
}

const names = Object.keys(commands) as Name[]
it.each(names)('%s names an option it does not know, and tells its usage', (name) => {
  expect(ask(name, ['--nonsense', '1'])).toEqual({
    status: 2,
    stdout: '',
    line: expect.stringContaining("Unknown option '--nonsense'"),
    usage: expect.stringMatching(/^Usage: (npm run|node) .*--/),
    isTrace: false,
  })
})

it.each(names)('%s tells its usage where it is asked for help', (name) => {
  const { status, stdout, line } = ask(name, ['--help'])
  expect({ status, stdout, line }).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^Usage: (npm run|node) .*--/),
    line: '',
  })
})

it.each(['files', 'keys'])('reelkeeper %s tells its usage where it is asked for help', (name) => {
  const args = ['--disable-warning=ExperimentalWarning', 'cli/main.ts', name, '--help']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(new RegExp(`^ *${name} `))
})

it.each<[Name, string[], string]>([
  ['bench', ['--only', 'soak,nonsense'], '--only'],
  ['bench of lost creates', ['--only', 'nonsense'], '--only'],
  ['chaos', ['--minutes', '1441'], '--minutes'],
  ['drill', ['short', '--seed', 'x'], '--seed'],
  ['drill', ['toString'], 'toString'],
  ['mutations', ['--shard', '4/3'], '--shard'],
  ['mutations', ['--only', 'no such rule'], '--only'],
  ['simulate', ['--seeds', 'x'], '--seeds'],
])('%s does not take %j', (name, args, word) => {
  const wrong = { status: 2, stdout: '', usage: expect.stringMatching(/^Usage: /), isTrace: false }
  expect(ask(name, args)).toEqual({ ...wrong, line: expect.stringContaining(word) })
})

it.each([
  ['0', {}],
  ['', { least: 0 }],
  [' ', { least: 0 }],
  ['1.5', {}],
  ['x', {}],
  ['-1', {}],
  ['1e99', {}],
  ['Infinity', {}],
  ['101', { most: 100 }],
  ['0', { least: 0.01, isWhole: false }],
] as const)('%j is no number where there is %j', (text, range) => {
  expect(() => numberOf('--n', text, range)).toThrow(UsageError)
})

it('takes the numbers in a range', () => {
  expect(numberOf('--n', '1')).toBe(1)
  expect(numberOf('--n', '0', { least: 0 })).toBe(0)
  expect(numberOf('--n', '0.5', { least: 0.01, most: 1, isWhole: false })).toBe(0.5)
})
