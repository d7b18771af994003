/**
 * A provider that costs next to nothing to ask, so that what is measured is who asks. It speaks toapis' wire format for the query of a
 * task; a task is its id: `t_<running from>_<ends at>_<progress step>_<n>`, instants in milliseconds of the Unix epoch. So it stores nothing, and when a task was
 * done is known to everybody. A raw HTTP/1.1 server on `net`: Node's own costs five times as much.
 */
import { createServer, type Socket } from 'node:net'

export const taskId = (runsAt: number, endsAt: number, step: number, n: number): string => `t_${Math.round(runsAt)}_${Math.round(endsAt)}_${step}_${n}`
export const endOf = (id: string): number => Number(id.split('_')[2])

let calls = 0

function bodyFor(id: string, now: number): string {
  const [, runsAt = '0', endsAt = '0', step = '100'] = id.split('_')
  const common = `{"id":"${id}","object":"generation.task","model":"bench","created_at":1700000000,`
  if (now >= Number(endsAt)) return `${common}"status":"completed","progress":100,"result":{"type":"video","data":[{"url":"http://127.0.0.1/files/${id}.mp4","format":"mp4"}]}}`
  if (now < Number(runsAt)) return `${common}"status":"queued","progress":0}`
  const share = (now - Number(runsAt)) / (Number(endsAt) - Number(runsAt))
  return `${common}"status":"in_progress","progress":${Math.floor((share * 100) / Number(step)) * Number(step)}}`
}

const answer = (body: string) => `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

function serve(socket: Socket): void {
  let text = ''
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    let out = ''
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      const path = text.slice(4, text.indexOf(' ', 4))
      text = text.slice(end + 4)
      if (path === '/calls') out += answer(String(calls))
      else {
        calls++
        out += answer(bodyFor(path.slice(path.lastIndexOf('/') + 1), Date.now()))
      }
    }
    if (out) socket.write(out, 'latin1')
  })
}

if (import.meta.main) {
  const server = createServer(serve)
  server.listen(Number(process.env['PROVIDER_PORT']), '127.0.0.1', () => process.send?.('ready'))
  process.on('disconnect', () => process.exit(0))
}
