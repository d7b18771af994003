/** Whether the store has what rows promise, what is there that no row names, and what was lost. */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { fileSettings, openFileStore } from '#libs/files/settings.ts'
import type { FileStore } from '#libs/files/file-store.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { previewKey, previewKinds } from '#libs/scene-video/video-file.ts'
import { FileRetention } from '#libs/store/file-retention.ts'
import { FileRemoval, type PromisedFile } from '#libs/store/file-removal.ts'
import { LostFiles, type LostFile } from '#libs/store/lost-files.ts'
import { printable, UsageError } from './command.ts'
import { environment, withDatabase } from './config.ts'

export const usage = `files verify [--remove-strays]     compare the file store with what was recorded, both ways
files retention --dry-run          what retention would delete now: by FILE_DAYS, and by projects' limits
files lost                         the files that were given up, with the reason
files retry <video>... | --all     have lost files fetched again

The store is found by FILES_STORE, FILES_DIR or S3_…; exit 1 where they differ.`

const page = 1_000
const say = (line: string) => void process.stdout.write(`${line}\n`)
const progress = (line: string) => void process.stderr.write(`${line}\n`)

export async function run([verb, ...args]: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: {
      'remove-strays': { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      all: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  })
  if (verb === 'retention' && values['dry-run'] && !positionals.length) return tellRetention()
  if (verb === 'lost' && !positionals.length) return listLost()
  if (verb === 'retry') return retryLost(positionals, values.all)
  if (verb !== 'verify' || positionals.length) throw new UsageError('Which files?')
  const config = readConfig(z.object(fileSettings), environment())
  // opening it would make it
  if (config.FILES_STORE === 'directory' && !existsSync(config.FILES_DIR))
    throw new Error(`There is no directory ${config.FILES_DIR}: set FILES_DIR or FILES_STORE.`)
  await using files = await openFileStore(config)
  return withDatabase(async (db) => {
    const rows = new FileRemoval(db)
    const { missing, promised } = await findMissing(files, rows)
    const { strays, found } = await findStrays(files, rows, values['remove-strays'])
    const removed = values['remove-strays'] ? ', removed' : ''
    say(`${promised} files recorded, ${found} in ${files.place}`)
    say(`${missing} missing or of another size, ${strays} that nothing names${removed}`)
    return missing + (values['remove-strays'] ? 0 : strays) > 0 ? 1 : 0
  })
}

/** The reconciler deletes; here it is only told. */
async function tellRetention(): Promise<number> {
  const { FILE_DAYS: days } = readConfig(
    z.object({ FILE_DAYS: z.coerce.number().int().min(1).optional() }),
    environment(),
  )
  return withDatabase(async (db) => {
    if (days !== undefined) {
      const { files, bytes } = await new FileRemoval(db).outdated(days)
      say(
        `${files} files, ${bytes} bytes: kept for more than ${days} ${days === 1 ? 'day' : 'days'}`,
      )
    } else
      progress('FILE_DAYS is not set here: what a reconciler that has it would delete is not told')
    const excess = await new FileRetention(db).excess()
    for (const { projectId, title, files, bytes } of excess)
      say(
        `${files} files, ${bytes} bytes: beyond the limits of project ${projectId}, ${printable(title)}`,
      )
    if (!excess.length) say('no project has files beyond its limits')
    return 0
  })
}

async function* lostFiles(lost: LostFiles) {
  for (let after: string | null = null; ;) {
    const some: LostFile[] = await lost.list(after, page)
    yield some
    if (some.length < page) return
    after = some.at(-1)!.id
  }
}

async function listLost(): Promise<number> {
  return withDatabase(async (db) => {
    for await (const some of lostFiles(new LostFiles(db)))
      for (const { id, provider, reason, expiresAt } of some)
        say([id, provider, expiresAt?.toISOString() ?? '-', printable(reason ?? '')].join('\t'))
    return 0
  })
}

async function retryLost(ids: string[], all: boolean): Promise<number> {
  if (all === ids.length > 0) throw new UsageError('Name the videos, or all of them by --all.')
  const wrong = ids.find((id) => !z.uuid().safeParse(id).success)
  if (wrong !== undefined) throw new UsageError(`${printable(wrong)} is no video's id.`)
  const by = `${userInfo().username}, by command`
  return withDatabase(async (db) => {
    const lost = new LostFiles(db)
    const retried: string[] = []
    if (!all) retried.push(...(await lost.retry(ids, by)))
    else
      for await (const some of lostFiles(lost)) {
        const again = await lost.retry(
          some.map(({ id }) => id),
          by,
        )
        retried.push(...again)
        if (some.length === page) progress(`${retried.length} files to be fetched again`)
      }
    for (const id of ids.filter((one) => !retried.includes(one.toLowerCase())))
      progress(`${id} has no lost file`)
    say(`${retried.length} files to be fetched again`)
    return !all && retried.length < ids.length ? 1 : 0
  })
}

async function findMissing(files: FileStore, rows: FileRemoval) {
  let [missing, promised] = [0, 0]
  for (let after = ''; ;) {
    const some = await rows.stored(after, page)
    for (const [key, bytes] of some.flatMap(objectsOf)) {
      const size = await files.size(key)
      if (size === bytes) continue
      missing += 1
      say(`missing  ${key}  ${size === null ? 'not there' : `${size} bytes instead of ${bytes}`}`)
    }
    promised += some.length
    if (some.length < page) return { missing, promised }
    after = some.at(-1)!.key
    progress(`${promised} recorded files looked at`)
  }
}

/** A file, and the pictures of it. */
const objectsOf = (promised: PromisedFile): [key: string, bytes: number][] => [
  [promised.key, promised.bytes],
  ...previewKinds.flatMap((kind): [string, number][] => {
    const bytes = promised[kind]
    return bytes === null ? [] : [[previewKey(promised.key, kind), bytes]]
  }),
]

async function findStrays(files: FileStore, rows: FileRemoval, remove: boolean) {
  let [strays, found] = [0, 0]
  let some: string[] = []
  const judge = async () => {
    for (const key of await rows.strays(some)) {
      strays += 1
      say(`stray    ${key}`)
      if (remove) await files.remove(key)
    }
    some = []
  }
  for await (const { key } of files.list()) {
    found += 1
    some.push(key)
    if (some.length < page) continue
    await judge()
    progress(`${found} files in the store looked at`)
  }
  await judge()
  return { strays, found }
}
