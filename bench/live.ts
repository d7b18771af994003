/**
 * Live streams of one gateway: `node bench/live.ts [--streams 5000] [--per-project 10] [--videos
 * 200]`.
 *
 * The whole system as `npm start` runs it; this process holds the streams. Latency is from the
 * commit of a row (its `updatedAt`, the start of the committing transaction by Postgres' clock, on
 * this machine) to the arrival of the frame here, so it includes the commit itself.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { asked, numberOf } from '../cli/command.ts'
import { endsWithUs, runToEnd } from '../test/support/ending.ts'
import { System, pause, until } from '../test/support/system.ts'

const usage = 'node bench/live.ts [--streams 5000] [--per-project 10] [--videos 200]'
const { streams, perProject, videos } = asked(usage, () => {
  const { values } = parseArgs({
    options: {
      streams: { type: 'string', default: '5000' },
      'per-project': { type: 'string', default: '10' },
      videos: { type: 'string', default: '200' },
    },
  })
  return {
    streams: numberOf('--streams', values.streams),
    perProject: numberOf('--per-project', values['per-project']),
    videos: numberOf('--videos', values.videos),
  }
})
const opensAtOnce = 100

const say = (line: string) => process.stdout.write(`${line}\n`)
const rssMiB = (pid: number) =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024)
const percentile = (sorted: number[], p: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN

const latencies: number[] = []
let frames = 0
let ended = 0

function hear(socket: Socket): void {
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const now = Date.now()
    const parts = (rest + chunk).split('\n\n')
    rest = parts.pop()!
    for (const part of parts) {
      const event = /^event: (\w+)$/m.exec(part)?.[1]
      if (!event || event === 'snapshot') continue
      frames++
      if (event === 'completed') ended++
      latencies.push(now - Date.parse(/"updatedAt":"([^"]+)"/.exec(part)![1]!))
    }
  })
}

function open(port: number, path: string, key: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${key}\r\n\r\n`),
    )
    socket.once('error', reject)
    socket.once('data', (head: Buffer) => {
      if (!head.toString().startsWith('HTTP/1.1 200'))
        return reject(new Error(head.toString().slice(0, 300)))
      hear(socket)
      resolve(socket)
    })
  })
}

async function main(): Promise<number> {
  await using system = await endsWithUs(
    async () => new System({ POLL_INTERVAL_MS: '1000', MAX_STREAMS: String(streams + 100) }),
  )
  await system.start()
  await system.simulate({ minSeconds: 20, maxSeconds: 30, tier: 'off' })
  const { gatewayUrl, apiKey } = system.dev
  const port = Number(new URL(gatewayUrl).port)
  const gateway = system.pid('gateway')
  const made = async (path: string, body: object) =>
    String((await system.api('POST', path, body)).body['id'])
  const projects = await Promise.all(
    Array.from({ length: Math.ceil(streams / perProject) }, async (_, i) => {
      const projectId = await made('/api/projects', { title: `p${i}` })
      return {
        projectId,
        scriptId: await made(`/api/projects/${projectId}/scripts`, { title: 's' }),
      }
    }),
  )
  const scenes: string[] = []
  for (let i = 0; i < videos; i++) {
    const { projectId, scriptId } = projects[i % projects.length]!
    scenes.push(
      `/api/projects/${projectId}/scripts/${scriptId}/scenes/${await made(`/api/projects/${projectId}/scripts/${scriptId}/scenes`, { prompt: `scene ${i}` })}/generate-video`,
    )
  }

  const before = rssMiB(gateway)
  const openedAt = performance.now()
  const sockets: Socket[] = []
  for (let from = 0; from < streams; from += opensAtOnce) {
    sockets.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(opensAtOnce, streams - from) }, (_, i) =>
          open(
            port,
            `/api/events?projectId=${projects[Math.floor((from + i) / perProject)]!.projectId}`,
            apiKey,
          ),
        ),
      )),
    )
  }
  const opened = rssMiB(gateway)
  say(
    `${sockets.length} streams open in ${Math.round(performance.now() - openedAt)} ms; gateway RSS ${before} → ${opened} MiB (${Math.round(((opened - before) * 1024) / streams)} KiB a stream)`,
  )

  const startedAt = performance.now()
  for (const scene of scenes) await system.api('POST', scene)
  await until('all videos to end', () => ended >= videos * perProject || undefined, 180_000)
  const seconds = (performance.now() - startedAt) / 1000
  await pause(500)
  const sorted = latencies.toSorted((a, b) => a - b)
  say(
    `${frames} frames in ${seconds.toFixed(1)} s (${Math.round(frames / seconds)}/s); commit to client p50 ${percentile(sorted, 0.5)} ms, p99 ${percentile(sorted, 0.99)} ms, max ${sorted.at(-1)} ms; gateway RSS ${rssMiB(gateway)} MiB`,
  )
  for (const socket of sockets) socket.destroy()
  return 0
}

await runToEnd(main)
