/**
 * @reelkeeper/client as it is published: packed, unpacked into an app, and taken by every kind of
 * runtime and compiler that it is said to support.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, expect, it } from 'vitest'

const root = process.cwd()
const app = mkdtempSync(join(tmpdir(), 'client-package-'))
const installed = join(app, 'node_modules/@reelkeeper/client')

function run(command: string, args: string[], cwd = app): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}
/** The app's own copy, as an install makes one. */
function give(name: string, as = name) {
  const to = join(app, 'node_modules', as)
  rmSync(to, { recursive: true, force: true })
  mkdirSync(join(to, '..'), { recursive: true })
  cpSync(join(root, 'node_modules', name), to, { recursive: true })
}
/** A Node of this major version on the PATH, or null. */
const nodeOf = (major: number) =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((node) =>
      spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.startsWith(`v${major}.`),
    ) ?? null

let tarball = ''
const unpack = () => {
  mkdirSync(installed, { recursive: true })
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed])
}

beforeAll(() => {
  const packed = run(
    'npm',
    ['pack', '-w', 'libs/client', '--silent', '--pack-destination', app],
    root,
  )
  tarball = join(app, packed.trim().split('\n').at(-1)!)
  unpack()
  writeFileSync(join(app, 'package.json'), '{"type": "module"}')
})
afterAll(() => rmSync(app, { recursive: true, force: true }))

const script = `
  import { createServer } from 'node:http'
  import { Reelkeeper, ReelkeeperError, isEnded } from '@reelkeeper/client'
  const video = { id: 'v', version: 2, status: 'completed' }
  const server = createServer((question, answer) => {
    if (question.url === '/api/scene-videos/none') return answer.writeHead(404, { 'content-type': 'application/problem+json' }).end('{"code":"not_found","detail":"no"}')
    answer.writeHead(200, { 'content-type': 'text/event-stream' })
    answer.end('retry: 10\\n\\nid: 1-1\\nevent: completed\\ndata: ' + JSON.stringify(video) + '\\n\\n')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = new Reelkeeper({ baseUrl: 'http://127.0.0.1:' + server.address().port })
  const seen = []
  for await (const one of client.watch({ videoId: 'v' })) seen.push(one.version, isEnded(one))
  const refused = await client.get('none').catch((err) => err instanceof ReelkeeperError && err.code)
  server.closeAllConnections()
  server.close()
  console.log(JSON.stringify([seen, refused]))`

it('runs on the Node of this project', () => {
  writeFileSync(join(app, 'script.mjs'), script)
  expect(JSON.parse(run(process.execPath, ['script.mjs']))).toEqual([[2, true], 'not_found'])
})

const node20 = nodeOf(20)
it.skipIf(node20 === null)('runs on Node 20, where the machine has one', () => {
  writeFileSync(join(app, 'script.mjs'), script)
  expect(JSON.parse(run(node20!, ['script.mjs']))).toEqual([[2, true], 'not_found'])
})

const page = `
  import { createElement } from 'react'
  import { renderToString } from 'react-dom/server'
  import { useSceneVideo, useSceneVideos } from '@reelkeeper/client/react'
  const Card = () => createElement('p', null,
    [useSceneVideo('v'), useSceneVideo('v', { projectId: 'p' }), useSceneVideos()].map((one) => one.loading).join())
  console.log(renderToString(createElement(Card)))`

it.each(['18.3.1', '19.2.0'])('renders in React %s, with the app’s own copy of it', (version) => {
  const packages = [`react@${version}`, `react-dom@${version}`]
  run('npm', ['install', '--no-save', '--prefer-offline', '--no-audit', '--no-fund', ...packages])
  unpack()
  writeFileSync(join(app, 'page.mjs'), page)
  expect(run(process.execPath, ['page.mjs'])).toBe('<p>true,true,true</p>\n')
})

it('is bundled, small, and marked as for the browser', async () => {
  give('react')
  writeFileSync(join(app, 'entry.mjs'), "export * from '@reelkeeper/client'")
  const bundle = await rolldown({ input: join(app, 'entry.mjs'), platform: 'browser' })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  expect(output).toHaveLength(1)
  expect(output[0].imports).toEqual([])
  expect(output[0].code).not.toContain('node:')
  expect(readFileSync(join(installed, 'dist/react.js'), 'utf8')).toMatch(/^["']use client/)
})

it.each([
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
])('has types for module %s, resolved by %s, as strict as can be', (module, moduleResolution) => {
  give('react')
  give('@types/react')
  give('csstype')
  writeFileSync(
    join(app, 'typed.ts'),
    `import { Reelkeeper, type SceneVideo } from '@reelkeeper/client'
     import { useSceneVideos } from '@reelkeeper/client/react'
     export const versionOf = async (client: Reelkeeper): Promise<number> => (await client.get('v')).version
     export const first = (): SceneVideo | undefined => useSceneVideos({ projectId: 'p' }).videos[0]
     // @ts-expect-error: types are there, not any
     export const wrong: number = new Reelkeeper({ baseUrl: '' })`,
  )
  writeFileSync(
    join(app, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        module,
        moduleResolution,
        target: 'es2022',
        lib: ['es2022', 'dom'],
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        skipLibCheck: false,
      },
      files: ['typed.ts'],
    }),
  )
  run(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.json'])
})
