/** Links into S3, and requests to it, are signed as a server written by others demands. */
import type { S3Client } from '@aws-sdk/client-s3'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FileStore } from '#libs/files/file-store.ts'
import { all, isMissing, newKey, one, openStore, root, type, why } from '../support/s3-kit.ts'
import { makeBucket, startRadosgw, type S3Server } from '../support/s3-servers.ts'

describe.skipIf(isMissing)(`signatures, by radosgw${why}`, () => {
  const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-radosgw-'))
  let radosgw: S3Server
  let client: S3Client
  let store: FileStore
  const key = newKey()
  const data = randomBytes(50_000)
  const options = { seconds: 60, type: 'video/mp4', disposition: 'inline; filename="片头.mp4"' }

  beforeAll(async () => {
    radosgw = await startRadosgw(root, dir)
    client = await makeBucket(radosgw)
    store = openStore(radosgw)
    await store.put(key, one(data), { type })
    // installs it first
  }, 600_000)
  afterAll(async () => {
    client?.destroy()
    await radosgw?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  // ranges are moto's to judge: of this kind of store radosgw answers with other bytes
  it('are taken: what was put is read', async () => {
    expect((await all(await store.read(key))).equals(data)).toBe(true)
  })

  it('of another secret, or none, are refused, and not taken for a missing file', async () => {
    const { accessKeyId } = radosgw
    const wrong = { credentials: { accessKeyId, secretAccessKey: 'wrong' } }
    const other = openStore(radosgw, wrong)
    await expect(other.read(key)).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' })
    await expect(other.size(key)).rejects.toThrow()
    await expect(other.put(newKey(), one(data), { type })).rejects.toThrow('SignatureDoesNotMatch')
    expect((await fetch(`${radosgw.url}/films/kept/${key}`)).status).toBe(403)
  })

  it('of links: the file under its name and type, by ranges, to whoever has the link', async () => {
    const link = await store.presign!(key, options)
    const answer = await fetch(link)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('video/mp4')
    expect(answer.headers.get('content-disposition')).toContain('inline')
    expect(Buffer.from(await answer.arrayBuffer()).equals(data)).toBe(true)
    const range = await fetch(link, { headers: { range: 'bytes=0-9' } })
    expect([range.status, (await range.arrayBuffer()).byteLength]).toEqual([206, 10])
  })

  it('of links that were changed are refused', async () => {
    const link = await store.presign!(key, options)
    const other = newKey()
    await store.put(other, one(data), { type })
    for (const changed of [
      link.replace(key, other),
      link.replace('X-Amz-Expires=60', 'X-Amz-Expires=600'),
      link.replace('inline', 'attachment'),
    ]) {
      expect(changed).not.toBe(link)
      expect((await fetch(changed)).status).toBe(403)
    }
    expect((await fetch(link, { method: 'DELETE' })).status).toBe(403)
    expect(await store.size(key)).toBe(data.length)
  })

  it('of links end with their time', async () => {
    const link = await store.presign!(key, { ...options, seconds: 1 })
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    expect((await fetch(link)).status).toBe(403)
  })
})
