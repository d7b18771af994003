/** House rules. A finding's message is the remedy. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { providerNames } from '#libs/provider/registry.ts'

type Check = (path: string, text: string) => string[]

const importsOf = (text: string) =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!)
const withoutComments = (text: string) => text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
const area = (path: string) => path.split('/').slice(0, 2).join('/')

/** Which of our areas each may import, beside itself. */
const mayImport: Record<string, string[]> = {
  'libs/runtime': [],
  'libs/scene-video': [],
  'libs/provider': ['libs/runtime', 'libs/scene-video', 'libs/net'],
  'libs/bus': ['libs/runtime', 'libs/scene-video'],
  'libs/store': ['libs/runtime', 'libs/scene-video'],
  'libs/ownership': ['libs/runtime', 'libs/scene-video', 'libs/bus'],
  'libs/outbox': ['libs/runtime', 'libs/scene-video', 'libs/bus'],
  'libs/net': ['libs/runtime', 'libs/scene-video'],
  'libs/files': ['libs/runtime', 'libs/scene-video'],
  'libs/client': [],
}
/** Makers' clients send a paid create again by themselves: they only try the simulator. */
const makersClients = [
  '@ai-sdk/gateway',
  '@fal-ai/client',
  '@openrouter/sdk',
  '@runwayml/sdk',
  'lumaai',
  'openai',
  'replicate',
]
/** Packages with one home. */
const homes: Record<string, string[]> = {
  ...Object.fromEntries(makersClients.map((name) => [name, ['services/provider-simulator']])),
  xstate: ['libs/scene-video', 'bench'],
  nats: ['libs/bus', 'examples', 'test', 'bench'],
  '@prisma/client': ['libs/store'],
  '@prisma/adapter-pg': ['libs/store'],
  pg: ['libs/store', 'services/dev', 'test', 'bench'],
  fastify: ['services/gateway', 'bench'],
  pino: ['libs/runtime'],
  react: ['libs/client', 'examples', 'test'],
  mediabunny: ['libs/files'],
  '@aws-sdk/client-s3': ['libs/files', 'test'],
}

const importRules: Check = (path, text) =>
  importsOf(text).flatMap((name) => {
    const own = area(path)
    const ours = /^#((?:libs|services)\/[\w-]+)/.exec(name)?.[1]
    const home = homes[name]
    if (home && !home.some((one) => path.startsWith(`${one}/`)))
      return [`${path}: import ${name} only in ${home.join(', ')}; go through that folder instead`]
    if (
      own === 'libs/scene-video' &&
      !name.startsWith('.') &&
      !['xstate', 'zod'].includes(name) &&
      !path.endsWith('.test.ts')
    )
      return [`${path}: the domain imports xstate and zod only; move what needs ${name} out of it`]
    if (!ours || ours === own || path.endsWith('.test.ts')) return []
    if (own in mayImport && !mayImport[own]!.includes(ours))
      return [`${path}: ${own} must not import ${ours}; pass in what it needs`]
    if (
      own.startsWith('services/') &&
      ours.startsWith('services/') &&
      !own.startsWith('services/dev')
    )
      return [`${path}: a service imports libs and itself; send ${ours} a message instead`]
    return []
  })

/** The client is a package of its own, for browsers. */
const clockHomes = /^(libs\/runtime\/clock|libs\/client\/|test\/|bench\/|.*\.test\.ts)/
const ownClocks =
  /\bDate\.now\b|new Date(?:\(\)|(?!\w|\())|(?<!new )\bDate\(\)|timeOrigin|Temporal\.Now|performance\.now|\bhrtime\b|\buptime\(/
const ambientRules: Check = (path, text) => [
  ...(ownClocks.test(withoutComments(text)) && !clockHomes.test(path)
    ? [`${path}: take the time from libs/runtime/clock.ts, or from Postgres`]
    : []),
  ...(/process\.env\b/.test(text) &&
  !/^bench\/|(main|config|start|generate|migrate|nats-binary|service|crash-point|system|cluster|subscriber|serve|\.test|\.check)\.ts$/.test(
    path,
  )
    ? [`${path}: read settings in config.ts and pass them in`]
    : []),
]

/** Where a provider is named outside its own files, and why. */
const namesProvider: [RegExp, string][] = [
  [/^(test|bench)\/|\.test\.ts$/, 'tests and measures choose one'],
  [/^services\/provider-simulator\//, 'the simulator speaks its format'],
  [/^services\/dev\/settings\.ts$/, 'the local start sets the simulator up'],
  [
    /^services\/gateway\/(models|schemas|plugins\/openapi-examples)\.ts$/,
    'examples in the API’s reference',
  ],
]
const named = new RegExp(`['"\`/_.](${providerNames.join('|')})['"\`/_]|toapis`, 'i')
const providerRules: Check = (path, text) =>
  !named.test(withoutComments(text)) ||
  /^libs\/provider\/|^deploy\//.test(path) ||
  namesProvider.some(([where]) => where.test(path))
    ? []
    : [`${path}: ask the provider port; only its own files in libs/provider name a provider`]

/** Prettier breaks all but comments, and text in quotes or templates. */
const lengthRules: Check = (path, text) => {
  const lines = text.trimEnd().split('\n')
  return [
    ...lines.flatMap((line, i) =>
      line.length > 100 && /^\s*(?:\/\/|\/?\*)/.test(line) && !/https?:\S{60}/.test(line)
        ? [`${path}:${i + 1}: break this comment at 100 columns`]
        : [],
    ),
    ...(lines.length > 250
      ? [`${path}: ${lines.length} lines, at most 250; one file, one reason: split it`]
      : []),
  ]
}

const holeRules: Check = (path, text) => [
  ...(new RegExp(`\\b(it|test|describe)\\.(${'only'}|skip)\\b`).test(text)
    ? [`${path}: run every test, or delete it`]
    : []),
  ...(/: any\b|\bas any\b|@ts-ignore/.test(text)
    ? [`${path}: say what type it is; any hides mistakes`]
    : []),
  ...(text.includes(['', 'work', ''].join('/')) ? [`${path}: name no path of one machine`] : []),
]

const checks = [importRules, ambientRules, providerRules, lengthRules, holeRules]
const findings = (path: string, text: string) => checks.flatMap((check) => check(path, text))

it('keeps the house rules', () => {
  const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts', '*.tsx'], {
    encoding: 'utf8',
  })
    .stdout.trim()
    .split('\n')
  expect(listed.length).toBeGreaterThan(50)
  expect(
    listed
      .filter((path) => path !== 'test/tidy.test.ts')
      .flatMap((path) => findings(path, readFileSync(path, 'utf8'))),
  ).toEqual([])
})

const limit = 70
it(`keeps functions within ${limit} lines`, () => {
  const rule = `{"rules":{"max-lines-per-function":["error",{"max":${limit},"skipBlankLines":true,"skipComments":true}]},"categories":{"correctness":"off"}}`
  const config = join(mkdtempSync(join(tmpdir(), 'tidy-')), 'oxlint.json')
  writeFileSync(config, rule)
  const said = spawnSync(
    'node_modules/.bin/oxlint',
    ['-c', config, '-f', 'json', 'libs', 'services', 'cli', 'test', 'bench', 'examples'],
    { encoding: 'utf8', maxBuffer: 1e8 },
  ).stdout
  rmSync(dirname(config), { recursive: true })
  const { diagnostics, number_of_files: looked } = JSON.parse(said) as {
    diagnostics: { message: string; filename: string }[]
    number_of_files: number
  }
  expect(looked).toBeGreaterThan(100)
  const tooLong = diagnostics.map(({ message, filename }) => {
    const lines = /\((\d+)\)/.exec(message)![1]
    return `${filename}: a function of ${lines} lines; split it`
  })
  expect(tooLong).toEqual([])
})

it.each([
  ['libs/bus/x.ts', "import { y } from '#libs/store/y.ts'"],
  ['services/poller/x.ts', "import { y } from '#services/submit/y.ts'"],
  ['services/gateway/x.ts', "import { connect } from 'nats'"],
  ['libs/scene-video/x.ts', "import { readFileSync } from 'node:fs'"],
  ['services/submit/x.ts', `const now = Date.now${'()'}`],
  ['services/submit/x.ts', 'const now = performance.timeOrigin + performance.now()'],
  ['services/submit/x.ts', 'const now = Temporal.Now.instant()'],
  ['services/submit/x.ts', 'const began = performance.now()'],
  ['services/submit/x.ts', 'const began = process.hrtime.bigint()'],
  ['services/status/x.ts', "if (provider === 'toapis') return"],
  ['services/submit/x.ts', "if (provider === 'ark') return"],
  ['libs/store/x.ts', 'process(config.KLING_API_KEY)'],
  ['libs/bus/x.ts', `// ${'long '.repeat(20)}`],
  ['libs/bus/x.ts', '\n'.repeat(250) + 'x'],
  ['libs/files/x.ts', "import { y } from '#libs/net/guard.ts'"],
  ['libs/store/x.ts', 'const y: any = 1'],
  ['test/x.test.ts', `it.${'only'}('x', () => {})`],
])('finds what is wrong with %s', (path, text) => {
  expect(findings(path, text)).toHaveLength(1)
})
