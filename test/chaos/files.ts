/**
 * Law 8: of every completed video the file is kept, whole, or its loss is told. What a killed
 * archiver leaves in the store is counted: `files verify --remove-strays` removes it.
 */
import { openDirectoryStore } from '#libs/files/directory-store.ts'
import { until } from '../support/system.ts'
import type { Cluster } from './cluster.ts'

interface FileRow {
  id: string
  phase: string
  told: { state?: string; reason?: string; bytes?: number } | null
  state: string | null
  key: string | null
  bytes: number | null
}
const files = (cluster: Cluster) =>
  cluster.query<FileRow>(
    `SELECT v.id, v.phase, v.file AS told, f.state, f.key, f.bytes::float8 AS bytes
       FROM "SceneVideo" v LEFT JOIN "File" f ON f."videoId" = v.id WHERE v.status = 'completed'`,
  )

/** Waits until nothing is left to fetch; what was found, and what is wrong. */
export async function judgeFiles(
  cluster: Cluster,
  withinMs = 180_000,
): Promise<{ stored: number; lost: number; strays: number; wrong: string[] }> {
  const rows = await until(
    'every file to be kept or lost',
    async () => {
      const found = await files(cluster)
      return found.every(({ state }) => state !== null && state !== 'waiting') ? found : undefined
    },
    withinMs,
  )
  const wrong: string[] = []
  await using store = await openDirectoryStore(cluster.filesDir)
  const named = new Set<string>()
  for (const { id, phase, told, state, key, bytes } of rows) {
    if (state === 'stored') {
      named.add(key!)
      const size = await store.size(key!)
      if (size !== bytes) wrong.push(`${id}: its file has ${size} bytes, recorded are ${bytes}`)
      if (phase !== 'stored' || told?.state !== 'stored')
        wrong.push(`${id}: its file is kept, and not told`)
    } else if (state === 'lost') {
      if (!told?.reason) wrong.push(`${id}: its file is lost, and not told`)
    } else wrong.push(`${id}: its file is ${state}`)
  }
  let strays = 0
  for await (const { key } of store.list()) if (!named.has(key)) strays += 1
  const count = (wanted: string) => rows.filter(({ state }) => state === wanted).length
  return { stored: count('stored'), lost: count('lost'), strays, wrong }
}
