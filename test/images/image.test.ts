/** The image that deploy/Dockerfile makes: its size, what is inside, that all starts from it. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { docker, run, whyNoImage } from './engine.ts'

const why = whyNoImage()
if (why) process.stdout.write(`skipped, the image: ${why}\n`)

const image = `reelkeeper-test:${process.pid}`
const largestMb = 250
/** Folders that only development needs; packages are held against the lock file. */
const unwanted =
  /(^|\/)(test|bench|examples|docs|services\/(dev|provider-simulator)|libs\/client)\/|\.test\.ts$/

interface Locked {
  dev?: boolean
  devOptional?: boolean
  optional?: boolean
  link?: boolean
}

describe.skipIf(why !== null)('The image', { timeout: 900_000 }, () => {
  let files: string[] = []
  beforeAll(() => {
    docker('build', '--network', 'host', '-f', 'deploy/Dockerfile', '-t', image, '.')
    const container = docker('create', image).trim()
    const list = `docker export ${container} | tar -t`
    files = run('sh', ['-c', list]).split('\n').filter(Boolean)
    docker('rm', container)
  }, 900_000)
  afterAll(() => void spawnSync('docker', ['rmi', image]))

  it(`is no larger than ${largestMb} MB`, () => {
    const bytes = Number(docker('image', 'inspect', '--format', '{{.Size}}', image))
    process.stdout.write(`the image: ${(bytes / 1e6).toFixed(0)} MB\n`)
    expect(bytes / 1e6).toBeLessThan(largestMb)
  })

  it('holds no test, nothing of development, and no shell', () => {
    const own = files.filter((path) => path.startsWith('app/') && !path.includes('node_modules/'))
    expect(own.length).toBeGreaterThan(200)
    expect(own.filter((path) => unwanted.test(path))).toEqual([])
    expect(files.filter((path) => /(^|\/)(sh|bash|busybox|npm)$/.test(path))).toEqual([])
  })

  it('holds the production dependencies and no others', () => {
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, Locked>
    }
    const needed = (path: string) => {
      const { dev, devOptional, optional, link } = packages[path] ?? { dev: true }
      return !dev && !devOptional && !optional && !link
    }
    const inside = files
      .filter((path) => /node_modules\/(@[^/]+\/)?[^@/][^/]*\/package\.json$/.test(path))
      .map((path) => path.slice('app/'.length, -'/package.json'.length))
    expect(inside.length).toBeGreaterThan(50)
    expect(inside.filter((path) => !needed(path))).toEqual([])
  })

  const mains = [
    ...readdirSync('services')
      .filter((name) => !['dev', 'provider-simulator'].includes(name))
      .map((name) => `services/${name}/main.ts`),
    'libs/store/migrate.ts',
  ]
  it.each(mains)('runs %s up to the settings that are missing', (main) => {
    const started = inContainer([main])
    expect(started.stderr + started.stdout).toMatch(/DATABASE_URL|NATS_URL/)
    expect(started.stderr + started.stdout).not.toMatch(/ERR_MODULE_NOT_FOUND|Cannot find/)
    expect(started.status).not.toBe(0)
  })

  it.each([...mains, 'cli/main.ts', 'libs/files/s3-store.ts'])('has compiled %s', (main) => {
    const started = inContainer([main], ['--env', 'NODE_DEBUG_NATIVE=COMPILE_CACHE'])
    const said = started.stdout + started.stderr
    expect(said).toMatch(/retrieving transpile cache for .*\.\.\.success/)
    expect(said).not.toContain('no transpile cache')
  })

  it("runs the operator's command", () => {
    expect(inContainer(['cli/main.ts', 'help'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('users create') as string,
    })
  })

  it('is run by a user that is not root', () => {
    expect(inContainer(['-p', 'process.getuid()']).stdout.trim()).toBe('65532')
  })

  const inContainer = (command: string[], options: string[] = []) =>
    spawnSync(
      'docker',
      ['run', '--rm', '--read-only', '--network', 'none', ...options, image, ...command],
      { encoding: 'utf8', timeout: 120_000 },
    )
})
