import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describesFileStore } from '../../test/conformance/file-store.ts'
import { openDirectoryStore } from './directory-store.ts'
import type { FileStore } from './file-store.ts'

let root: string
let store: FileStore

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'reelkeeper-files-'))
  store = await openDirectoryStore(root)
})
afterAll(() => rm(root, { recursive: true, force: true }))

describe('a directory', () => {
  describesFileStore(() => store)

  it('gives memory back as soon as it is written', async () => {
    const pieces = Array.from({ length: 40 }, () => new Uint8Array(64 * 1024).fill(7))
    const held: number[] = []
    async function* body() {
      for (const piece of pieces) {
        yield piece
        held.push(pieces.filter(({ length }) => length > 0).length)
      }
    }
    await store.put('two.mp4', body(), { type: 'video/mp4', givesUp: true })
    expect(pieces.every(({ buffer }) => buffer.detached)).toBe(true)
    expect(held.at(-1)).toBeLessThan(40)
  })

  it('leaves nothing under incoming/ and shows its files to nobody else', async () => {
    await store.put(
      'one.mp4',
      (async function* () {
        yield Buffer.from('x')
      })(),
      { type: 'video/mp4' },
    )
    expect(await readdir(join(root, 'incoming'))).toEqual([])
    const [first] = (await readdir(root)).filter((name) => name !== 'incoming')
    expect((await stat(join(root, first!))).mode & 0o077).toBe(0)
  })

  it('removes at its opening what a dead process left behind a day ago, and nothing younger', async () => {
    const old = join(root, 'incoming', 'old')
    await writeFile(old, 'x')
    await writeFile(join(root, 'incoming', 'young'), 'x')
    const dayAgo = (await stat(old)).mtimeMs / 1_000 - 25 * 3_600
    await utimes(old, dayAgo, dayAgo)
    await openDirectoryStore(root)
    expect(await readdir(join(root, 'incoming'))).toEqual(['young'])
  })
})
