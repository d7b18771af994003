/** HTTP byte for byte: no client library puts it right first. */
import { connect } from 'node:net'

export interface Raw {
  status: number
  headers: Headers
  body: string
}

/** One request on a connection of its own; of an event stream, what comes first. */
export function exchange(url: string, request: Buffer): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    let text = ''
    const done = () => {
      socket.destroy()
      const [head = '', ...rest] = text.split('\r\n\r\n')
      const [first = '', ...lines] = head.split('\r\n')
      const headers = new Headers(lines.map((line) => line.split(/:\s*/, 2) as [string, string]))
      const body = rest.join('\r\n\r\n')
      resolve({
        status: Number(first.split(' ')[1]),
        headers,
        body: headers.get('transfer-encoding') === 'chunked' ? unchunk(body) : body,
      })
    }
    socket.on('data', (chunk) => {
      text += chunk.toString()
      if (text.includes('\r\nretry: ')) done()
    })
    socket.on('close', done)
    socket.on('error', (err: Error & { code?: string }) =>
      err.code === 'ECONNRESET' || err.code === 'EPIPE' ? undefined : reject(err),
    )
    socket.write(request)
  })
}

function unchunk(text: string): string {
  let out = ''
  for (let at = 0; ;) {
    const end = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, end), 16)
    if (!(size > 0)) return out
    out += text.slice(end + 2, end + 2 + size)
    at = end + 2 + size + 2
  }
}
