/** A step between a service and another server, which keeps what is posted. */
import { request as ask, type IncomingMessage } from 'node:http'

/** Asks `to` what was asked of us, and gives the answer; `heard` what was posted. */
export async function handOn(
  incoming: IncomingMessage,
  to: string,
  heard: { path: string; body: string }[],
) {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const data = Buffer.concat(chunks)
  if (incoming.method === 'POST') heard.push({ path: incoming.url!, body: data.toString() })
  return new Promise<{ status: number; type: string; body: Buffer }>((resolve) => {
    const { method, headers } = incoming
    const onward = ask(to + incoming.url!, { method, headers }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () =>
        resolve({
          status: answer.statusCode!,
          type: answer.headers['content-type'] ?? '',
          body: Buffer.concat(parts),
        }),
      )
    })
    onward.end(data)
  })
}
