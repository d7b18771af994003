/** House rules. A finding's message is the remedy. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

type Check = (path: string, text: string) => string[]

const importsOf = (text: string) =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!)
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
/** Packages with one home. */
const homes: Record<string, string[]> = {
  nats: ['libs/bus', 'examples', 'test', 'bench'],
  '@prisma/client': ['libs/store'],
  '@prisma/adapter-pg': ['libs/store'],
  pg: ['services/dev', 'test', 'bench'],
  fastify: ['services/gateway'],
  pino: ['libs/runtime'],
  react: ['libs/client', 'examples'],
  mediabunny: ['libs/files'],
  '@aws-sdk/client-s3': ['libs/files'],
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

const clockHomes = /^(libs\/runtime\/clock|test\/|bench\/|.*\.test\.ts)/
const ambientRules: Check = (path, text) => [
  ...(/Date\.now\(\)|new Date\(\)/.test(text) && !clockHomes.test(path)
    ? [`${path}: take the time from a Clock, or from Postgres; not from the wall`]
    : []),
  ...(/process\.env\b/.test(text) &&
  !/^bench\/|(main|config|start|generate|migrate|nats-binary|service|crash-point|system|cluster|subscriber|\.test|\.check)\.ts$/.test(
    path,
  )
    ? [`${path}: read settings in config.ts and pass them in`]
    : []),
]

const holeRules: Check = (path, text) => [
  ...(new RegExp(`\\b(it|test|describe)\\.(${'only'}|skip)\\b`).test(text)
    ? [`${path}: run every test, or delete it`]
    : []),
  ...(/: any\b|\bas any\b|@ts-ignore/.test(text)
    ? [`${path}: say what type it is; any hides mistakes`]
    : []),
  ...(text.split('\n').length > 600
    ? [`${path}: over 600 lines; one file, one reason: split it`]
    : []),
  ...(text.includes(['', 'work', ''].join('/')) ? [`${path}: name no path of one machine`] : []),
]

const checks = [importRules, ambientRules, holeRules]
const findings = (path: string, text: string) => checks.flatMap((check) => check(path, text))

it('keeps the house rules', () => {
  const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], {
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

it.each([
  ['libs/bus/x.ts', "import { y } from '#libs/store/y.ts'"],
  ['services/poller/x.ts', "import { y } from '#services/submit/y.ts'"],
  ['services/gateway/x.ts', "import { connect } from 'nats'"],
  ['libs/scene-video/x.ts', "import { readFileSync } from 'node:fs'"],
  ['services/submit/x.ts', `const now = Date.now${'()'}`],
  ['libs/store/x.ts', 'const y: any = 1'],
  ['test/x.test.ts', `it.${'only'}('x', () => {})`],
])('finds what is wrong with %s', (path, text) => {
  expect(findings(path, text)).toHaveLength(1)
})
