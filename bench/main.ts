/**
 * `npm run bench [-- --quick] [-- --only limit,same-work,growth]`: all parts one after another, each with servers of its own on loopback. Writes
 * bench/results/<part>.json, and of the same work a table and a picture. The peers are installed once into bench/peers.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sameWorkPicture, sameWorkTable } from './lib/report.ts'
import { growth } from './parts/growth.ts'
import { limitOfPoller } from './parts/limit-poller.ts'
import { limitOfStatus } from './parts/limit-status.ts'
import { contestants, sameWork, type SameWorkRow } from './parts/same-work.ts'

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: 'limit,same-work,growth' } } })
const parts = values.only.split(',')
const { quick } = values
const results = fileURLToPath(new URL('results', import.meta.url))
const peers = fileURLToPath(new URL('peers', import.meta.url))
mkdirSync(results, { recursive: true })

const status = (line: string) => void (process.stderr.isTTY ? process.stderr.write(`\r\u001b[K${line.slice(0, 150)}`) : process.stderr.write(`${line}\n`))
const say = (line: string) => void process.stdout.write(`${process.stderr.isTTY ? '\r\u001b[K' : ''}${line}\n`)
const about = () => ({ node: process.version, cpus: cpus().length, model: cpus()[0]?.model, load: loadavg().map((one) => Number(one.toFixed(1))), quick })
const keep = (name: string, found: unknown) => writeFileSync(`${results}/${name}.json`, `${JSON.stringify({ about: about(), found }, null, 1)}\n`)

if (parts.includes('limit')) {
  const poller = await limitOfPoller({ pairs: quick ? 3 : 7, say: (line) => status(`limit of polling: ${line}`) })
  keep('limit-poller', poller)
  say(`poller against bare GETs: ${poller.medianRatio.toFixed(2)} × the CPU per poll (bar: 2.5)`)
  const writer = await limitOfStatus({ pairs: quick ? 3 : 7, say: (line) => status(`limit of recording: ${line}`) })
  keep('limit-status', writer)
  say(`status against bare statements, rows per CPU second: progress ${(writer.progressShare * 100).toFixed(0)} % of update + insert, sign of life ${(writer.signOfLifeShare * 100).toFixed(0)} % of the update (bar: 80 %)`)
}

if (parts.includes('same-work')) {
  if (!existsSync(`${peers}/node_modules`)) spawnSync('npm', ['ci', '--no-fund', '--no-audit'], { cwd: peers, stdio: 'inherit' })
  const rows: SameWorkRow[] = []
  for (const videos of quick ? [1_000] : [100, 1_000, 10_000]) {
    for (const contestant of contestants) {
      try {
        rows.push(await sameWork({ contestant, videos, seconds: quick ? 10 : 30, say: (line) => status(`${contestant}, ${videos} videos: ${line}`) }))
      } catch (err) {
        say(`${contestant} with ${videos} videos: broke (${(err as Error).message.slice(0, 200)})`)
      }
      keep('same-work', rows)
    }
  }
  writeFileSync(`${results}/same-work.md`, `${sameWorkTable(rows)}\n`)
  writeFileSync(`${results}/same-work.svg`, sameWorkPicture(rows))
  say(sameWorkTable(rows))
}

if (parts.includes('growth')) {
  const rows = await growth({ counts: quick ? [1_000] : [1_000, 10_000, 100_000], seconds: quick ? 10 : 30, say: status })
  keep('growth', rows)
  for (const row of rows) say(JSON.stringify(row))
}
process.exit(0)
