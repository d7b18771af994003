/**
 * A provider that costs next to nothing to ask, so that what is measured is who asks. It speaks
 * toapis' wire format for the query of a task; a task is its id (tasks.ts). It counts what it is
 * asked and what its answers said anew, the same for every contestant; and it can keep its answers
 * to single queries back, so that polls are in hand when their process is killed. A raw HTTP/1.1
 * server on `net`: Node's own costs five times as much.
 */
import { createServer, type Socket } from 'node:net'
import { answering } from './answering.ts'
import { parseTask } from './tasks.ts'

export interface Counts {
  calls: number
  /** Tasks that were asked for at all. */
  seen: number
  /** Answers that said something else than the one before to the same task. */
  changes: number
}

/** What became of tasks since a process was killed. */
export interface NextPolls {
  /** Tasks (n) whose poll was in hand in a process that died. */
  orphans: number[]
  /** Of each task (n), milliseconds from the mark to its first poll. */
  first: [n: number, ms: number][]
}

const mostTasks = 1 << 20
const unseen = -1
const queued = 250
const completed = 200

let beganAt: number | undefined
const counts: Counts = { calls: 0, seen: 0, changes: 0 }
/** Of each task the state last told: its progress, or one of the above. */
const told = new Int16Array(mostTasks).fill(unseen)
let isHolding = false
const held = new Set<{ socket: Socket; id: string }>()
const orphans = new Set<number>()
let markedAt: number | undefined
let first = new Map<number, number>()

function note(n: number, state: number): void {
  counts.calls++
  if (told[n] === unseen) counts.seen++
  else if (told[n] !== state) counts.changes++
  told[n] = state
}

function noteArrival(id: string): void {
  const { n } = parseTask(id)
  if (markedAt !== undefined && !first.has(n)) first.set(n, Date.now() - markedAt)
}

function bodyFor(id: string): string {
  const now = beganAt === undefined ? 0 : Date.now() - beganAt
  const { runsAt, endsAt, step, n } = parseTask(id)
  const common = `{"id":"${id}","object":"generation.task","model":"bench","created_at":1700000000,`
  if (now >= endsAt) {
    note(n, completed)
    return `${common}"status":"completed","progress":100,"result":{"type":"video","data":[{"url":"http://127.0.0.1/files/${id}.mp4","format":"mp4"}]}}`
  }
  if (now < runsAt) {
    note(n, queued)
    return `${common}"status":"queued","progress":0}`
  }
  const progress = Math.floor(((now - runsAt) * 100) / (endsAt - runsAt) / step) * step
  note(n, progress)
  return `${common}"status":"in_progress","progress":${progress}}`
}

function answerOf(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}
const answerTo = (id: string): string => answerOf(bodyFor(id))
/** To a query of many, one call for each task of it: what is compared is who polls. */
const answerToMany = (body: string): string =>
  answerOf(`{"data":[${(JSON.parse(body) as { ids: string[] }).ids.map(bodyFor).join(',')}]}`)

function serve(socket: Socket): void {
  let text = ''
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    for (const one of held) {
      if (one.socket !== socket) continue
      held.delete(one)
      orphans.add(parseTask(one.id).n)
    }
  })
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    let out = ''
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      if (text.startsWith('POST')) {
        const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1])
        if (text.length < end + 4 + length) break
        out += answerToMany(text.slice(end + 4, end + 4 + length))
        text = text.slice(end + 4 + length)
        continue
      }
      const path = text.slice(4, text.indexOf(' ', 4))
      text = text.slice(end + 4)
      const id = path.slice(path.lastIndexOf('/') + 1)
      noteArrival(id)
      if (isHolding) held.add({ socket, id })
      else out += answerTo(id)
    }
    if (out) socket.write(out, 'latin1')
  })
}

const server = createServer(serve)
server.listen(Number(process.env['PROVIDER_PORT']), '127.0.0.1', () =>
  answering({
    /** Starts the tasks' clock; when that was, in ms of the Unix epoch. */
    begin: () => (beganAt = Date.now()),
    counts: () => counts,
    /** From now on calls are taken and not answered. */
    hold: () => void (isHolding = true),
    release() {
      isHolding = false
      for (const { socket, id } of held) socket.write(answerTo(id), 'latin1')
      held.clear()
    },
    /** From now on the first call for each task is noted, in ms since `at` (Unix epoch). */
    mark(at: number) {
      markedAt = at
      first = new Map()
    },
    nextPolls: (): NextPolls => ({ orphans: [...orphans], first: [...first] }),
  }),
)
