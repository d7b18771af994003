import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { notInstalled } from './installed.ts'

it('names what is missing, or is there in another version', () => {
  const root = mkdtempSync(join(tmpdir(), 'reelkeeper-installed-'))
  const write = (path: string, content: object) => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), JSON.stringify(content))
  }
  write('package.json', { dependencies: { '@a/there': '1.0.0', old: '2.0.0', missing: '3.0.0' } })
  write('node_modules/@a/there/package.json', { version: '1.0.0' })
  write('node_modules/old/package.json', { version: '1.9.0' })
  expect(notInstalled(root)).toEqual(['old 2.0.0', 'missing 3.0.0'])
  rmSync(root, { recursive: true })
})

it('finds nothing missing where this test runs', () => {
  expect(notInstalled(fileURLToPath(new URL('../..', import.meta.url)))).toEqual([])
})
