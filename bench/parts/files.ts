/**
 * Files: what the archiver needs to fetch and keep large ones, against `curl -o` from the same
 * server onto the same disk, as many at once; both again where the server gives no more than a
 * network of 1 Gbit/s would; its memory while it does; and how long it takes from done to stored.
 * Every file is a film of two seconds with a box of zeros behind it.
 */
import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect } from 'nats'
import { sleep } from '#libs/runtime/clock.ts'
import { eventSubject } from '#libs/scene-video/messages.ts'
import { Lab } from '../lib/lab.ts'
import { percentile, table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { cpuOfTree, rssOf } from '../lib/processes.ts'

interface Run {
  mbPerSecond: number
  cpuSecondsPerGb: number
}
interface Files {
  files: number
  megabytes: number
  atOnce: number
  archiver: Run & { rssIdleMb: number; rssMostMb: number }
  curl: Run
  /** By a network of 1 Gbit/s. */
  paced: { archiver: Run; curl: Run }
  /** Of small files, one every 50 ms, in ms. */
  doneToStoredP50: number
  doneToStoredP99: number
  small: number
}

const clip = readFileSync(new URL('../../services/provider-simulator/clip.mp4', import.meta.url))
const zeros = Buffer.alloc(256 * 1024)
const mb = 1_000_000
/** A second: 1 Gbit. */
const networkBytes = 125 * mb

/** Lets through so many bytes a second of all that ask. */
class Pace {
  #at = 0

  async take(bytes: number): Promise<void> {
    const now = performance.now()
    this.#at = Math.max(this.#at, now) + (bytes / networkBytes) * 1_000
    if (this.#at - now > 5) await sleep(this.#at - now)
  }
}

/** `/<megabytes>` is a film of that size, `/<megabytes>/paced` comes as by a network. */
async function startFiles(): Promise<{ server: Server; url: string }> {
  const pace = new Pace()
  const server = createServer((request, response) => {
    const [, megabytes, paced] = request.url!.split('/')
    send(response, Number(megabytes) * mb, paced ? pace : null).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function send(response: ServerResponse, padding: number, pace: Pace | null): Promise<void> {
  const box = Buffer.alloc(8)
  box.writeUInt32BE(8 + padding)
  box.write('free', 4)
  const length = clip.length + 8 + padding
  response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': length })
  response.write(clip)
  response.write(box)
  for (let left = padding; left > 0; left -= zeros.length) {
    const piece = zeros.subarray(0, Math.min(left, zeros.length))
    await pace?.take(piece.length)
    if (!response.write(piece)) await once(response, 'drain')
  }
  response.end()
}

const isCompleted = `UPDATE "SceneVideo" SET status = 'completed', phase = 'done', "videoUrl" = $2, "completedAt" = now() WHERE id = ANY($1)`
const unkept = `SELECT count(*)::int AS n FROM "SceneVideo" WHERE id = ANY($1) AND phase <> 'stored'`

async function untilStored(lab: Lab, ids: string[], look: () => void): Promise<void> {
  for (;;) {
    const { rows } = await lab.pool.query<{ n: number }>(unkept, [ids])
    if (rows[0]!.n === 0) return
    look()
    await sleep(50)
  }
}

/** Seconds and CPU seconds of `curl`, `atOnce` files at a time. */
async function curl(url: string, { files, atOnce, dir }: Plan & { dir: string }) {
  const began = performance.now()
  const targets = Array.from({ length: files }, (_, i) => ['-o', join(dir, `curl-${i}`), url])
  const args = [
    '-c',
    'curl -sS --no-progress-meter -Z --parallel-max "$@" && sync -d "$DIR"/curl-*; times',
    'curl',
  ]
  const child = spawn('bash', [...args, String(atOnce), ...targets.flat()], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, DIR: dir },
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await new Promise((resolve) => child.once('exit', resolve))
  const seconds = (performance.now() - began) / 1_000
  const times = [
    ...said
      .trim()
      .split('\n')
      .at(-1)!
      .matchAll(/(\d+)m([\d.]+)s/g),
  ]
  const cpu = times.reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0)
  for (let i = 0; i < files; i++) rmSync(join(dir, `curl-${i}`), { force: true })
  return { seconds, cpu }
}

interface Plan {
  files: number
  megabytes: number
  atOnce: number
}
const planOf = ({ quick }: Pick<Context, 'quick'>): Plan =>
  quick ? { files: 8, megabytes: 100, atOnce: 4 } : { files: 20, megabytes: 500, atOnce: 20 }

async function files({ quick, say }: Context): Promise<Files> {
  const plan = planOf({ quick })
  await using lab = await Lab.open()
  await using stack = new AsyncDisposableStack()
  const { server, url } = await startFiles()
  stack.defer(() => void server.close())
  const archiver = stack.use(
    await lab.service('archiver', {
      FILES_DIR: join(lab.dir, 'files'),
      FILE_TRUSTED_HOSTS: new URL(url).host,
      // one user has a quarter of them
      ARCHIVE_CONCURRENCY: String(plan.atOnce * 4),
    }),
  )
  const bus = await connect({ servers: lab.nats.url })
  stack.defer(() => bus.close())
  const pid = archiver.child.pid!
  const add = (n: number, name: string) =>
    lab.addVideos(Array.from({ length: n }, (_, i) => `${name}-${i}`))
  const complete = async (ids: string[], link: string) => {
    await lab.pool.query(isCompleted, [ids, link])
    bus.publish(eventSubject('completed'))
  }
  await sleep(2_000)
  const rssIdle = rssOf(pid)
  let rssMost = 0
  const gigabytes = (plan.files * plan.megabytes) / 1_000
  const runOf = (wall: number, used: number): Run => ({
    mbPerSecond: (gigabytes * 1_000) / wall,
    cpuSecondsPerGb: used / gigabytes,
  })
  const both = async (link: string) => {
    say(`curl, ${plan.files} files of ${plan.megabytes} MB`)
    const by = await curl(link, { ...plan, dir: lab.dir })
    const ids = await add(plan.files, link)
    say('archiver')
    const [cpuBefore, began] = [cpuOfTree(pid), performance.now()]
    await complete(ids, link)
    await untilStored(lab, ids, () => (rssMost = Math.max(rssMost, rssOf(pid))))
    const seconds = (performance.now() - began) / 1_000
    const cpu = (cpuOfTree(pid) - cpuBefore) / 1_000
    return { archiver: runOf(seconds, cpu), curl: runOf(by.seconds, by.cpu) }
  }
  const unbound = await both(`${url}/${plan.megabytes}`)
  const paced = await both(`${url}/${plan.megabytes}/paced`)
  say('small ones')
  const small = await add(quick ? 60 : 300, 'small')
  for (const id of small) {
    await complete([id], `${url}/1`)
    await sleep(50)
  }
  await untilStored(lab, small, () => {})
  const { rows } = await lab.pool.query<{ ms: number }>(
    `SELECT extract(epoch FROM f."storedAt" - v."completedAt")::float8 * 1000 AS ms FROM "SceneVideo" v JOIN "File" f ON f."videoId" = v.id WHERE v.id = ANY($1)`,
    [small],
  )
  const times = rows.map(({ ms }) => ms)
  return {
    ...plan,
    archiver: { ...unbound.archiver, rssIdleMb: rssIdle / mb, rssMostMb: rssMost / mb },
    curl: unbound.curl,
    paced,
    doneToStoredP50: percentile(times, 0.5),
    doneToStoredP99: percentile(times, 0.99),
    small: small.length,
  }
}

export const filesPart = part<Files>({
  name: 'files',
  title: 'Files fetched and kept',
  seconds: ({ quick }) => (quick ? 60 : 400),
  run: files,
  words: (found) =>
    `${found.files} films of ${found.megabytes} MB, ${found.atOnce} at once, synced to the same disk:\n\n${table(
      ['', 'MB/s', 'CPU s per GB', 'memory MB'],
      [
        [
          'archiver',
          text(found.archiver.mbPerSecond),
          text(found.archiver.cpuSecondsPerGb, 2),
          `${text(found.archiver.rssIdleMb)} idle, ${text(found.archiver.rssMostMb)} at most`,
        ],
        ['curl -o', text(found.curl.mbPerSecond), text(found.curl.cpuSecondsPerGb, 2), ''],
        ...(['archiver', 'curl'] as const).map((who) => [
          `${who}, 1 Gbit/s`,
          text(found.paced[who].mbPerSecond),
          text(found.paced[who].cpuSecondsPerGb, 2),
          '',
        ]),
      ],
    )}\n\nFrom done to stored, ${found.small} films of 1 MB: p50 ${text(found.doneToStoredP50)} ms, p99 ${text(found.doneToStoredP99)} ms.`,
})
