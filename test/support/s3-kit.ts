/** What tests of the store in S3 share: the servers there are, stores that are closed again. */
import { randomUUID } from 'node:crypto'
import { afterAll } from 'vitest'
import type { FileStore } from '#libs/files/file-store.ts'
import { openS3Store, type S3Options } from '#libs/files/s3-store.ts'
import { findS3Servers, optionsOf, type S3Server } from './s3-servers.ts'

const found = await findS3Servers()
export const root = 'root' in found ? found.root : ''
export const isMissing = 'missing' in found
/** Told in the names of tests that cannot run here. */
export const why = 'missing' in found ? ` (not run: ${found.missing})` : ''

export const type = 'video/mp4'
export const newKey = (): string => `${randomUUID()}-1-1`

const opened: FileStore[] = []
afterAll(async () => {
  for (const store of opened) await store[Symbol.asyncDispose]()
})
/** Closed after the tests of the file. */
export function openStore(server: S3Server, more?: Partial<S3Options>): FileStore {
  const store = openS3Store(optionsOf(server, more))
  opened.push(store)
  return store
}

export const one = async function* (data: Uint8Array) {
  yield data
}
export const all = async (body: AsyncIterable<Uint8Array> | null): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of body ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}
