/** Whose file comes first, and who may say what became of it. */
import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { FileRecords, hostOfLink } from '#libs/store/file-records.ts'
import {
  archiver,
  clip,
  completed,
  db,
  env,
  provider,
  startKit,
  stopArchivers,
  until,
  untilFailedOnce,
  untilStored,
  video,
} from '../support/archiver-kit.ts'
import { facts } from '../support/file-facts.ts'

startKit()

it('gives a link up when it has died, and no earlier', async () => {
  const [path, expired] = [`/ok/${crypto.randomUUID()}`, `/ok/${crypto.randomUUID()}`]
  provider.dead.add(path).add(expired)
  const id = await completed(path, { expiresInMs: 3_600_000 })
  const gone = await completed(expired, { expiresInMs: -1_000 })
  await archiver()
  await until('the expired one is lost', async () => (await video(gone)).kept?.state === 'lost')
  expect((await untilFailedOnce(id)).state).toBe('waiting')
  provider.dead.delete(path)
  await untilStored(id)
})

const files = (...args: string[]) =>
  spawnSync(process.execPath, ['cli/main.ts', 'files', ...args], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })

it('gives up what is larger than the limit, and fetches it again when an operator says so', async () => {
  await stopArchivers()
  await archiver({ FILE_MAX_BYTES: '1000' })
  const id = await completed(`/ok/${crypto.randomUUID()}`, { expiresInMs: 3_600_000 })
  const { kept } = await until('it is lost', async () => {
    const found = await video(id)
    return found.kept?.state === 'lost' && found
  })
  expect(kept).toMatchObject({ tries: 1, lastError: expect.stringContaining('larger than') })
  await stopArchivers()
  expect(files('lost').stdout).toMatch(new RegExp(`^${id}\ttoapis\t.*Z\tlarger than`, 'm'))
  expect(files('retry').stderr).toContain('Name the videos')
  expect(files('retry', 'x').stderr).toContain('no video')
  const other = crypto.randomUUID()
  expect(files('retry', id, other)).toMatchObject({
    status: 1,
    stdout: '1 files to be fetched again\n',
    stderr: expect.stringContaining(`${other} has no lost file`),
  })
  await archiver()
  const { timeline } = await untilStored(id)
  expect(timeline.map(({ kind }) => kind)).toEqual(['file_lost', 'file_retried', 'stored'])
  expect(files('retry', '--all')).toMatchObject({ status: 0 })
})

it('counts in danger what failed and dies soon, not what is merely under way', async () => {
  const minutes = (n: number) => new Date(Date.now() + n * 60_000)
  const rows = [
    { waited: 2, left: 30, lastError: 'answered 503', isIn: true },
    { waited: 2, left: 30, isIn: true }, // nobody fetches it
    { waited: 2, left: 30, claimedUntil: minutes(1), isIn: false },
    { waited: 2, left: 90, lastError: 'answered 503', isIn: false },
    { waited: 361, left: 9_000, lastError: 'answered 404', isIn: true },
    { waited: 361, left: 9_000, isIn: false },
    { waited: 0, left: 30, lastError: 'answered 503', isIn: false },
    { waited: 0, left: 3, lastError: 'answered 503', isIn: true },
    { waited: 0, left: 3, isIn: false },
    { waited: 2, left: 3, claimedUntil: minutes(1), isIn: true },
  ]
  const ids: string[] = []
  const records = new FileRecords(db)
  const before = (await records.waiting(3_600_000)).expiringSoon
  for (const { waited, left, isIn, ...row } of rows) {
    const videoId = await completed('/silent/danger')
    ids.push(videoId)
    await records.adopt()
    const [createdAt, expiresAt] = [minutes(-waited), minutes(left)]
    const seen = (await records.waiting(3_600_000)).expiringSoon
    await db.file.update({ where: { videoId }, data: { ...row, createdAt, expiresAt } })
    const now = (await records.waiting(3_600_000)).expiringSoon
    expect(now - seen, JSON.stringify({ waited, left, ...row })).toBe(isIn ? 1 : 0)
  }
  await db.file.updateMany({ where: { videoId: { in: ids } }, data: { state: 'deleted' } })
  expect((await records.waiting(3_600_000)).expiringSoon).toBe(before)
})

it('lets no slow provider of one user keep another user’s file waiting', async () => {
  const other = await db.user.create({ data: { name: 'slow' } })
  const slow = await Promise.all(
    Array.from({ length: 20 }, () =>
      completed(`/slow/${crypto.randomUUID()}`, { userId: other.id, expiresInMs: 60_000 }),
    ),
  )
  await archiver({ ARCHIVE_CONCURRENCY: '8' })
  await until(
    'slow ones run',
    async () => (await db.file.count({ where: { userId: other.id, claim: { gt: 0 } } })) === 2,
  )
  const quick = await Promise.all(
    Array.from({ length: 6 }, () => completed(`/ok/${crypto.randomUUID()}`)),
  )
  for (const id of quick) await untilStored(id)
  expect(await db.sceneVideo.count({ where: { id: { in: slow }, phase: 'stored' } })).toBe(0)
  await db.file.updateMany({ where: { userId: other.id }, data: { state: 'deleted' } })
})

it('claims no more of one user than make his share with what runs', async () => {
  const ids = await Promise.all(['a', 'b', 'c'].map((name) => completed(`/silent/${name}`)))
  const records = new FileRecords(db)
  await records.adopt()
  const { userId } = await db.file.findUniqueOrThrow({ where: { videoId: ids[0]! } })
  const claim = (running: number) =>
    records.claim({ most: 3, perUser: 2, running: new Map([[userId, running]]), leaseMs: 0 })
  expect([(await claim(2)).length, (await claim(1)).length, (await claim(0)).length]).toEqual([
    0, 1, 2,
  ])
  const claimBeside = (silentHosts: string[]) =>
    records.claim({ most: 1, perUser: 2, running: new Map(), silentHosts, leaseMs: 0 })
  expect(await claimBeside([hostOfLink(provider.url)])).toEqual([])
  expect(await claimBeside(['elsewhere.test'])).toHaveLength(1)
  await db.file.updateMany({ where: { videoId: { in: ids } }, data: { state: 'deleted' } })
})

it('takes soonest what dies soonest', async () => {
  const [later, never, sooner] = [
    await completed('/silent/a', { expiresInMs: 9_000_000 }),
    await completed('/silent/b'),
    await completed('/silent/c', { expiresInMs: 100_000 }),
  ]
  const records = new FileRecords(db)
  await records.adopt()
  const claims = []
  for (let n = 0; n < 3; n++)
    claims.push(
      ...(await records.claim({ most: 1, perUser: 10, running: new Map(), leaseMs: 60_000 })),
    )
  expect(claims.map(({ id }) => id)).toEqual([sooner, later, never])
  await db.file.updateMany({
    where: { videoId: { in: [later, never, sooner] } },
    data: { state: 'deleted' },
  })
})

it('lets only the newest claim say what became of a file, and that once', async () => {
  const id = await completed('/silent/x')
  const records = new FileRecords(db)
  await records.adopt()
  const claimIt = async () =>
    (await records.claim({ most: 1, perUser: 1, running: new Map(), leaseMs: 0 }))[0]!
  const first = await claimIt()
  const second = await claimIt()
  expect([first.id, second.id, second.claim - first.claim]).toEqual([id, id, 1])
  expect(await records.stored(id, first.claim, 'old', facts)).toBeNull()
  expect(await records.lost(id, first.claim, 'x')).toBe(false)
  expect(await records.renew([{ id, claim: first.claim }], 1_000)).toEqual([])
  expect(await records.stored(id, second.claim, 'new', facts)).toMatchObject({ event: 'stored' })
  expect(await records.stored(id, second.claim, 'new', facts)).toBeNull()
  expect(await video(id)).toMatchObject({ version: 6, kept: { key: 'new' } })
})

it('calls off a fetch whose claim is lost, and goes on to other files', async () => {
  const id = await completed(`/slow/${crypto.randomUUID()}`)
  await archiver({ ARCHIVE_CONCURRENCY: '4' })
  await until('it runs', async () => ((await video(id)).kept?.claim ?? 0) > 0)
  await db.file.update({ where: { videoId: id }, data: { claim: 99, state: 'deleted' } })
  const next = await completed(`/ok/${crypto.randomUUID()}`) // one user, one slot: it waits for the first
  await untilStored(next)
})

it('leaves what it had in hand to the next one when it is stopped, and knows what was abandoned', async () => {
  const id = await completed(`/slow/${crypto.randomUUID()}`)
  await archiver()
  await until('it runs', async () => ((await video(id)).kept?.claim ?? 0) > 0)
  await stopArchivers()
  const records = new FileRecords(db)
  const claimIt = () => records.claim({ most: 1, perUser: 1, running: new Map(), leaseMs: 0 })
  expect(await claimIt()).toMatchObject([{ id, wasAbandoned: false }])
  expect(await claimIt()).toMatchObject([{ id, wasAbandoned: true }])
  await db.file.update({ where: { videoId: id }, data: { state: 'deleted' } })
})

it('keeps what a restored Postgres has forgotten, though its link is dead', async () => {
  const path = `/ok/${crypto.randomUUID()}`
  const id = await completed(path, { expiresInMs: 3_600_000 })
  await archiver()
  expect((await untilStored(id)).kept).toMatchObject({ key: `${id}-1-1` })
  await stopArchivers()
  provider.dead.add(path)
  await db.$executeRaw`DELETE FROM "File" WHERE "videoId" = ${id}::uuid`
  await db.$executeRaw`
    UPDATE "SceneVideo" SET phase = 'done', file = NULL, "videoUrlExpiresAt" = now() - interval '1 second' WHERE id = ${id}::uuid`
  expect(files('verify', '--remove-strays').stdout).not.toContain(id)
  await archiver()
  const { kept } = await until('it is decided', async () => {
    const found = await video(id)
    return found.file !== null && found
  })
  expect(kept).toMatchObject({ state: 'stored', key: `${id}-1-2`, bytes: BigInt(clip.length) })
})
