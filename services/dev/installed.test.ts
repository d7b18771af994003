import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const looked = (root: string) => {
  const file = fileURLToPath(new URL('installed.mjs', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [file, root], { encoding: 'utf8' })
  return [status, stderr]
}

it('names what is missing, or is there in another version', () => {
  const root = mkdtempSync(join(tmpdir(), 'reelkeeper-installed-'))
  const write = (path: string, content: object) => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), JSON.stringify(content))
  }
  write('package.json', { dependencies: { '@a/there': '1.0.0', old: '2.0.0', missing: '3.0.0' } })
  write('prisma/schema.prisma', {})
  write('libs/store/generated/client.ts', {})
  write('node_modules/@a/there/package.json', { version: '1.0.0' })
  write('node_modules/old/package.json', { version: '1.9.0' })
  expect(looked(root)).toEqual([
    1,
    'Not installed: old 2.0.0, missing 3.0.0. Run `npm install`, then again.\n',
  ])
  rmSync(join(root, 'libs'), { recursive: true })
  expect(looked(root)).toEqual([1, expect.stringContaining('the Prisma client')])
  rmSync(root, { recursive: true })
})

it('finds nothing missing where this test runs', () => {
  expect(looked(fileURLToPath(new URL('../..', import.meta.url)))).toEqual([0, ''])
})
