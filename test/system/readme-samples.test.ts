/**
 * The commands of docs/operating/users-and-keys.md, as somebody would type them beside an
 * `npm start`.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System } from '../support/system.ts'

const system = new System()
beforeAll(async () => {
  const cli = `${process.execPath} --disable-warning=ExperimentalWarning ${resolve('cli/main.ts')}`
  writeFileSync(
    join(system.dir, 'package.json'),
    JSON.stringify({ name: 'reelkeeper', private: true, scripts: { reelkeeper: cli } }),
  )
  await system.start()
})
afterAll(() => system[Symbol.asyncDispose]())

it('work', () => {
  const readme = readFileSync('README.md', 'utf8')
  const blocks = (text: string) =>
    [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!)
  const helpers = blocks(readme).find((block) => block.startsWith('cat > .reelkeeper/reel.sh'))!
  const samples = blocks(readFileSync('docs/operating/users-and-keys.md', 'utf8'))
  expect(samples).toHaveLength(6)
  const script = [helpers, ...samples].join('echo; echo ---\n')
  const { status, stdout, stderr } = spawnSync('bash', ['-euc', script], {
    cwd: system.dir,
    encoding: 'utf8',
    // bash takes a socket for a remote shell, and reads its own start files
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  })
  expect([status, stderr]).toEqual([0, ''])
  const [, users, operator, budget, browser, account, rotation] = stdout.split('---\n')
  expect(users).toMatch(/^[0-9a-z]+\tread,write,admin\t\S+\tvalid\tserver\n/)
  expect(users).toMatch(
    /\{"id":"[0-9a-f-]{36}",.*"title":"Pilot"[^}]*\}\{.*"scopes":\["read"\].*"apiKey":"rk_.*"\}revoked [0-9a-z]+\n/,
  )
  expect(operator).toContain('A studio')
  expect(budget).toBe('set\n\n')
  expect(browser).toMatch(/^retry: \d+\n\n(: *\n\n)?id: \d+-\d+\nevent: snapshot\ndata: \{"id":/)
  expect(account).toContain('"apiKeyLast4":"-own","source":"project"')
  expect(account).toContain('"ok":true')
  expect(rotation).toMatch(/^[\w+/]{43}=\n[\s\S]*\n[\w+/]{43}=\n[\s\S]*done: 0 re-encrypted\n$/)
})
